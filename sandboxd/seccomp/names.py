"""Which system calls the guest gets, by purpose. An allow-list; names unknown to an architecture are skipped.

Measured need: CPython's core 47 calls, with numpy, pandas, matplotlib, threads and subprocess 76; the rest are for other C
libraries, architectures and later Pythons.
"""

from __future__ import annotations

FILES = """
    access chdir chmod close close_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate
    fchdir fchmod fchmodat fchmodat2 fdatasync fstat fstatfs fsync ftruncate futimesat getcwd getdents
    getdents64 lchown link linkat lseek lstat mkdir mkdirat
    newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink
    readlinkat readv rename renameat renameat2 rmdir stat statfs statx symlink symlinkat sync_file_range truncate
    umask unlink unlinkat utime utimensat utimes write writev getxattr lgetxattr fgetxattr listxattr
    llistxattr flistxattr
""".split()  # fmt: skip

MEMORY = "brk madvise mbind membarrier mincore mmap mprotect mremap msync munmap get_mempolicy".split()

TIME = """
    alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer time timerfd_create
    timerfd_gettime timerfd_settime times
""".split()

PROCESSES = """
    arch_prctl capget execve execveat exit exit_group futex futex_waitv get_robust_list getcpu getegid geteuid getgid
    getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid
    kill pause pidfd_open pidfd_send_signal restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_yield set_robust_list
    set_tid_address setpgid setsid sigaltstack signalfd signalfd4 sysinfo tgkill tkill uname vfork wait4 waitid
    fork getrandom
""".split()

WAITING = """
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2
    poll ppoll pselect6 select
""".split()

# On a socketpair or a pipe alone: socket(2) is not among them, so no call here reaches a network.
SOCKETPAIRS = """
    getpeername getsockname getsockopt recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto setsockopt shutdown
""".split()

ALLOWED = (*FILES, *MEMORY, *TIME, *PROCESSES, *WAITING, *SOCKETPAIRS)

# Refused as "not permitted". Everything else unknown is ENOSYS.
MOUNTS = """
    mount umount umount2 pivot_root chroot fsopen fsmount fsconfig fspick open_tree move_mount mount_setattr
""".split()
# memfd_create is in neither list, so ENOSYS: what it holds is in no quota but a memory cgroup's.
NAMESPACES = "unshare setns".split()
OTHER_PROCESSES = """
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_getfd kcmp perf_event_open
    move_pages migrate_pages
""".split()
KERNEL = """
    bpf userfaultfd io_uring_setup io_uring_enter io_uring_register kexec_load kexec_file_load init_module finit_module
    delete_module create_module swapon swapoff reboot acct syslog quotactl quotactl_fd nfsservctl lookup_dcookie iopl
    ioperm modify_ldt personality vhangup uselib ustat sysfs _sysctl fanotify_init fanotify_mark memfd_secret io_setup
    io_submit io_cancel io_destroy io_getevents io_pgetevents
""".split()
KEYS = "keyctl add_key request_key".split()  # keyrings are in no namespace
HANDLES = (
    "open_by_handle_at name_to_handle_at".split()
)  # the way out of a bind mount with CAP_DAC_READ_SEARCH
CLOCKS = "clock_settime clock_adjtime adjtimex settimeofday stime sethostname setdomainname".split()
SPLICE = (
    "splice tee vmsplice sendfile copy_file_range".split()
)  # page-cache writes: CVE-2022-0847, CVE-2026-31431
# The same inodes lie in every box, read-only: to watch or lock one would tell what another box does.
SHARED_FILES = "flock inotify_add_watch inotify_init inotify_init1 inotify_rm_watch".split()
# A timer of one's own choice of signal can send SIGCONT to a box that was stopped between snippets.
TIMERS = "timer_create timer_delete timer_getoverrun timer_gettime timer_settime".split()
SCHEDULING = """
    sched_setaffinity sched_setattr sched_setparam sched_setscheduler setpriority ioprio_set mlock mlock2 mlockall
    set_mempolicy set_mempolicy_home_node
""".split()
IDS = "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset".split()
OWNERS = "chown fchown fchownat setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr mknod mknodat".split()
NETWORK = "socket bind connect listen accept accept4".split()
SYSV_IPC = """
    shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink mq_timedsend
    mq_timedreceive mq_notify mq_getsetattr
""".split()
SECURITY = ["seccomp"]

DENIED = (
    *MOUNTS, *NAMESPACES, *OTHER_PROCESSES, *KERNEL, *KEYS, *HANDLES, *CLOCKS, *SPLICE, *SCHEDULING, *IDS, *OWNERS, *NETWORK,
    *SYSV_IPC, *SECURITY, *SHARED_FILES, *TIMERS,
)  # fmt: skip

# pid 1 has no use for these once the root stands. mount(2) alone it needs until check-out, which sizes the file system;
# after that it has no capability for it. The filter also lies under those of later guests, which still have to switch ids,
# restrict themselves and load their own, so those calls stay out of this list.
SUPERVISOR_DENIED = (
    *(name for name in MOUNTS if name != "mount"),
    *NAMESPACES,
    *OTHER_PROCESSES,
    *KERNEL,
    *KEYS,
    *HANDLES,
    *CLOCKS,
    *SPLICE,
    *NETWORK,
)

# All that a parser needs that reads and answers on one descriptor: memory (PROT_EXEC apart), its own time, its end. `read`,
# `write` and `prlimit64` are allowed with certain arguments alone.
SCREENER = """
    brk clock_gettime exit exit_group futex getrandom getrusage madvise mremap munmap restart_syscall rt_sigreturn
""".split()
