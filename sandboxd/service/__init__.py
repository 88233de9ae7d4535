"""The gRPC face: servicers that translate between the wire and the parts below. No decision is made here."""

from sandboxd.service.admin import AdminService
from sandboxd.service.files import FileService
from sandboxd.service.peer import PeerNames
from sandboxd.service.policies import PolicyService
from sandboxd.service.sandbox import SandboxService

__all__ = ("AdminService", "FileService", "PeerNames", "PolicyService", "SandboxService")
