#include "agent/proxy/system_calls.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace sallyport::proxy {
namespace {

constexpr int kFine = 42;
constexpr int kNotFiltered = 1;

// In a process that may end. 0 and up: what `call` gave; it is to return kFine where it went well.
[[noreturn]] void Filtered(const std::function<int()>& call) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !FilterSystemCalls().ok()) _exit(kNotFiltered);
  _exit(call());
}

class SystemCallsTest : public testing::Test {
  void SetUp() override {
#ifdef SALLYPORT_SANITIZED
    GTEST_SKIP() << "nothing is filtered in this build";
#endif
  }
};

TEST_F(SystemCallsTest, WhatServingDoesNotNeedEndsTheProcess) {
  const pid_t other = getppid();
  static char page[4096];
  const struct {
    const char* name;
    std::function<int()> call;
  } kCalls[] = {
      {"execve", [] { return execl("/bin/true", "true", nullptr); }},
      {"fork", [] { return static_cast<int>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }},
      {"vfork", [] { return static_cast<int>(syscall(SYS_clone, CLONE_VM | CLONE_VFORK, 0, 0)); }},
      {"thread in a namespace",
       [] { return static_cast<int>(syscall(SYS_clone, CLONE_THREAD | CLONE_NEWNET, 0, 0)); }},
      {"ptrace", [] { return static_cast<int>(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }},
      {"memory of others",
       [=] {
         return static_cast<int>(syscall(SYS_process_vm_readv, other, nullptr, 0, nullptr, 0, 0));
       }},
      {"signal to another", [=] { return kill(other, 0); }},
      {"signal to another's thread",
       [=] { return static_cast<int>(syscall(SYS_tgkill, other, other, 0)); }},
      {"executable memory",
       [] {
         mmap(nullptr, sizeof(page), PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
         return 0;
       }},
      {"memory made executable",
       [] { return mprotect(page, sizeof(page), PROT_READ | PROT_EXEC); }},
      {"Unix socket", [] { return socket(AF_UNIX, SOCK_STREAM, 0); }},
      {"packet socket", [] { return socket(AF_PACKET, SOCK_RAW, 0); }},
      {"netlink of others", [] { return socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER); }},
      {"multipath TCP", [] { return socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP); }},
      {"vsock", [] { return socket(AF_VSOCK, SOCK_STREAM, 0); }},
      {"listen", [] { return listen(0, 1); }},
      {"bind", [] { return bind(0, nullptr, 0); }},
      {"terminal input", [] { return ioctl(0, TIOCSTI, "x"); }},
      {"unshare", [] { return unshare(CLONE_NEWUSER); }},
      {"setns", [] { return setns(0, 0); }},
      {"io_uring", [] { return static_cast<int>(syscall(SYS_io_uring_setup, 1, nullptr)); }},
      {"bpf", [] { return static_cast<int>(syscall(SYS_bpf, 0, nullptr, 0)); }},
      {"keyctl", [] { return static_cast<int>(syscall(SYS_keyctl, 0, 0, 0, 0, 0)); }},
      {"file without a name", [] { return memfd_create("x", 0); }},
      {"dumpable again", [] { return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); }},
      {"unlink", [] { return unlink("/nothing"); }},
#if defined(__x86_64__)
      {"x32", [] { return static_cast<int>(syscall(0x40000000 + SYS_getpid)); }},
#endif
  };
  for (const auto& [name, call] : kCalls)
    EXPECT_EXIT(Filtered(call), testing::KilledBySignal(SIGSYS), "") << name;
}

TEST_F(SystemCallsTest, ServingGoesOn) {
  EXPECT_EXIT(Filtered([] {
                int seen = 0;
                std::thread([&seen] { seen = kFine; }).join();
                return seen;
              }),
              testing::ExitedWithCode(kFine), "");
  EXPECT_EXIT(Filtered([] { return socket(AF_INET6, SOCK_STREAM, 0) >= 0 ? kFine : errno; }),
              testing::ExitedWithCode(kFine), "");
  EXPECT_EXIT(Filtered([] { return std::string(10'000'000, 'x').size() > 1 ? kFine : 0; }),
              testing::ExitedWithCode(kFine), "");
}

TEST_F(SystemCallsTest, AFailedCheckIsSeenAsSuch) {
  EXPECT_EXIT(Filtered([]() -> int { abort(); }), testing::KilledBySignal(SIGABRT), "");
}

TEST_F(SystemCallsTest, NoFileIsFound) {
  EXPECT_EXIT(Filtered([] { return open("/dev/null", O_RDONLY) < 0 ? errno : 0; }),
              testing::ExitedWithCode(ENOENT), "");
}

}  // namespace
}  // namespace sallyport::proxy
