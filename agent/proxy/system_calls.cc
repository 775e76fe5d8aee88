#include "agent/proxy/system_calls.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace sallyport::proxy {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "which AUDIT_ARCH_ is this?"
#endif

constexpr uint32_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

// What the program and its libraries import from the C library (`nm -D`) leads to these.
constexpr int kAllowed[] = {
    // Descriptors.
    SYS_read,
    SYS_readv,
    SYS_pread64,
    SYS_write,
    SYS_writev,
    SYS_close,
    SYS_dup3,
    SYS_fcntl,
    SYS_fstat,
    SYS_lseek,
    SYS_pipe2,
    SYS_splice,
    // The root is empty.
    SYS_newfstatat,
    // Sockets; `socket` itself is below. Listening is the agent's.
    SYS_accept4,
    SYS_connect,
    SYS_getsockname,
    SYS_getsockopt,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_sendto,
    SYS_setsockopt,
    SYS_shutdown,
    // Waiting, and time.
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_eventfd2,
    SYS_ppoll,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_clock_getres,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_gettimeofday,
    SYS_nanosleep,
    SYS_restart_syscall,
    // Memory; `mmap` and `mprotect` are below.
    SYS_brk,
    SYS_madvise,
    SYS_mlock,
    SYS_mremap,
    SYS_munlock,
    SYS_munmap,
    // Threads, signals of one's own, the end.
    SYS_exit,
    SYS_exit_group,
    SYS_futex,
    SYS_getcpu,
    SYS_getpid,
    SYS_gettid,
    SYS_rseq,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sched_getaffinity,
    SYS_sched_yield,
    SYS_set_robust_list,
    SYS_sigaltstack,
    // The rest.
    SYS_getrandom,
    SYS_prlimit64,
    SYS_sysinfo,
#if defined(__x86_64__)
    // Those that newer architectures are without.
    SYS_epoll_wait,
    SYS_poll,
    SYS_time,
#endif
};

// Libraries look for files that may be missing, such as /etc/localtime.
constexpr int kFindNothing[] = {
    SYS_openat, SYS_faccessat, SYS_readlinkat,
#if defined(__x86_64__)
    SYS_access, SYS_open,      SYS_readlink,   SYS_stat,
#endif
};

// The lower half of an argument, of it the bits of `mask`.
struct Argument {
  size_t index;
  uint32_t mask;
  std::vector<uint32_t> values;
};

// A classic BPF program over seccomp_data. It loads the call's number first, and where a call is
// looked into further, decides there.
class Program {
 public:
  Program() {
    Load(offsetof(seccomp_data, arch));
    ReturnUnless(BPF_JEQ, kArchitecture, SECCOMP_RET_KILL_PROCESS);
    Load(offsetof(seccomp_data, nr));
  }

  void Return(uint32_t action) { Add(BPF_STMT(BPF_RET | BPF_K, action)); }
  void On(int call, uint32_t action) { ReturnIf(static_cast<uint32_t>(call), action); }

  // Allows the call if each of these arguments has one of the values that are named for it.
  void AllowIf(int call, std::initializer_list<Argument> arguments) {
    size_t length = 1;  // The end.
    for (const Argument& argument : arguments) length += 3 + argument.values.size();
    Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0,
                 static_cast<uint8_t>(length)));
    for (const Argument& argument : arguments) {
      // Little-endian: the lower half comes first.
      Load(offsetof(seccomp_data, args) + argument.index * sizeof(uint64_t));
      Add(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, argument.mask));
      size_t to_end = argument.values.size();
      for (const uint32_t value : argument.values)
        Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, static_cast<uint8_t>(to_end--), 0));
      Return(SECCOMP_RET_KILL_PROCESS);
    }
    Return(SECCOMP_RET_ALLOW);
  }

  absl::Status Install() {
    const sock_fprog program = {static_cast<unsigned short>(code_.size()), code_.data()};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) {
      return absl::ErrnoToStatus(errno,
                                 "cannot limit system calls (a kernel without seccomp filters?)");
    }
    return absl::OkStatus();
  }

 private:
  void Add(sock_filter instruction) { code_.push_back(instruction); }
  void Load(size_t offset) {
    Add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
  }
  void ReturnIf(uint32_t value, uint32_t action) {
    Add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
    Return(action);
  }
  void ReturnUnless(uint16_t comparison, uint32_t value, uint32_t action) {
    Add(BPF_JUMP(static_cast<uint16_t>(BPF_JMP | comparison | BPF_K), value, 1, 0));
    Return(action);
  }

  std::vector<sock_filter> code_;
};

}  // namespace

absl::Status FilterSystemCalls() {
#ifdef SALLYPORT_SANITIZED
  return absl::OkStatus();  // A sanitizer's run time calls what it likes.
#endif
  constexpr uint32_t kAll = ~uint32_t{0};
  Program program;
  for (const int call : kAllowed) program.On(call, SECCOMP_RET_ALLOW);
  for (const int call : kFindNothing) program.On(call, SECCOMP_RET_ERRNO | ENOENT);
  // Nothing that could be written becomes code.
  program.AllowIf(SYS_mmap, {{2, PROT_EXEC, {0}}});
  program.AllowIf(SYS_mprotect, {{2, PROT_EXEC, {0}}});
  // Threads, not processes. What clone3 is asked for is in memory, where a filter cannot look; the
  // C library then takes clone.
  program.On(SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
  program.AllowIf(SYS_clone, {{0, CLONE_THREAD | kNewNamespaces, {CLONE_THREAD}}});
  // Netlink to ask which addresses are the host's. Sockets of handlers are the agent's to open.
  static_assert(NETLINK_ROUTE == 0);
  program.AllowIf(SYS_socket, {{0, kAll, {AF_INET, AF_INET6, AF_NETLINK}}, {2, kAll, {0}}});
  // One end goes to the agent, with what is asked of it: handlers/socket_source.h.
  program.AllowIf(SYS_socketpair, {{0, kAll, {AF_UNIX}}});
  program.AllowIf(SYS_ioctl, {{1, kAll, {FIONBIO, FIONREAD}}});
  // abort(): to itself, and to no other process of the same user.
  program.AllowIf(SYS_tgkill, {{0, kAll, {static_cast<uint32_t>(getpid())}}});
  program.Return(SECCOMP_RET_KILL_PROCESS);
  return program.Install();
}

}  // namespace sallyport::proxy
