#include "agent/attach/capabilities.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

namespace sallyport::agent {
namespace {

// Of a process that has done `first`.
absl::StatusOr<bool> Asked(const std::function<bool()>& first) {
  int ready[2];
  EXPECT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const char done = first() ? 'y' : 'n';
    if (write(ready[1], &done, 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char done = 0;
  EXPECT_EQ(read(ready[0], &done, 1), 1);
  EXPECT_EQ(done, 'y');
  absl::StatusOr<bool> answer = MayAdministerNetworks(child);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
  return answer;
}

bool DropFromBounding() { return prctl(PR_CAPBSET_DROP, CAP_NET_ADMIN) == 0; }
bool BecomeSomebody() { return setresuid(65534, 65534, 65534) == 0; }

TEST(CapabilitiesTest, ByPermittedAndBoundingSet) {
  EXPECT_TRUE(Asked([] { return true; }).value());
  // A program that is set-user-ID gets it back.
  EXPECT_TRUE(Asked(BecomeSomebody).value());
  // The process itself still has it.
  EXPECT_TRUE(Asked(DropFromBounding).value());
  EXPECT_FALSE(Asked([] { return DropFromBounding() && BecomeSomebody(); }).value());
}

TEST(CapabilitiesTest, InAUserNamespaceOfItsOwnItIsNotOurs) {
  EXPECT_FALSE(Asked([] { return unshare(CLONE_NEWUSER) == 0; }).value());
}

TEST(CapabilitiesTest, OfNobody) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(MayAdministerNetworks(child).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace sallyport::agent
