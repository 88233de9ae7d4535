"""The two gRPC servers, their limits, and health. Each listens behind its public socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc

from sandboxd.service import AdminService, PeerNames, PolicyService, SandboxService

if TYPE_CHECKING:
    from pathlib import Path

    from sandboxd.config import Config

_MESSAGE_MAX_BYTES = 4 << 20
_METADATA_MAX_BYTES = 16 << 10
_STREAMS_MAX = 256  # calls on one connection
_KEEPALIVE_MS = 20_000
_BACKEND = "grpc"

_OPTIONS = (
    ("grpc.max_receive_message_length", _MESSAGE_MAX_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_MAX_BYTES),
    ("grpc.max_metadata_size", _METADATA_MAX_BYTES),
    ("grpc.max_concurrent_streams", _STREAMS_MAX),
    # Clients find a partition in seconds by pinging; the defaults would answer with GOAWAY after two pings.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_MS),
    ("grpc.so_reuseport", 0),
)


class WireServer:
    """One gRPC server on a socket that only the acceptor reaches."""

    def __init__(self, private: Path, *, maximum_concurrent_rpcs: int) -> None:
        self.backend = private / _BACKEND
        self.server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=maximum_concurrent_rpcs)
        self.health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)

    async def start(self, *services: str) -> None:
        """Listen, and say that the services serve."""
        self.server.add_insecure_port(f"unix:{self.backend}")
        await self.server.start()
        for name in services:
            await self.health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def drain(self) -> None:
        """Say that nothing serves any more; calls that are open go on."""
        await self.health.enter_graceful_shutdown()

    async def stop(self, grace_seconds: float) -> None:
        """End: calls have so long to come to their end."""
        await self.server.stop(grace_seconds)


def public_server(private: Path, config: Config) -> WireServer:
    """Make the server of the public socket; a session holds one call, its files and look-ups a few."""
    return WireServer(private, maximum_concurrent_rpcs=4 * config.max_sessions + _STREAMS_MAX)


def admin_server(private: Path) -> WireServer:
    """Make the server of the admin socket."""
    return WireServer(private, maximum_concurrent_rpcs=_STREAMS_MAX)


def add_public(server: WireServer, sandbox: SandboxService, policies: PolicyService) -> None:
    """Serve what callers may use."""
    rpc.add_SandboxServiceServicer_to_server(sandbox, server.server)
    rpc.add_PolicyServiceServicer_to_server(policies, server.server)


def add_admin(server: WireServer, admin: AdminService) -> None:
    """Serve what operators may use."""
    rpc.add_AdminServiceServicer_to_server(admin, server.server)


__all__ = ("PeerNames", "WireServer", "add_admin", "add_public", "admin_server", "public_server")
