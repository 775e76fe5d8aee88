// A change that was acknowledged is there after a kill at any time.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <string>

#include "common/base/strings.h"
#include "controlplane/store/sqlite_store.h"

namespace sallyport {
namespace {

std::string Id(uint64_t revision) { return StrCat("c-", revision); }

// Writes a container per revision, named for it, and tells of each on `acknowledge`, for ever.
[[noreturn]] void WriteForEver(const std::string& dir, int acknowledge) {
  auto store = OpenSqliteStore(dir);
  if (!store.ok()) _exit(1);
  while (true) {
    const auto state = (*store)->Write([](Transaction& transaction) {
      v1::ContainerPolicy policy;
      policy.set_container_id(Id(transaction.state().revision + 1));
      policy.set_class_name(
          std::string(2000, 'w'));  // So that the log is checkpointed now and then.
      transaction.PutContainer(policy);
      return absl::OkStatus();
    });
    if (!state.ok()) _exit(2);
    const uint64_t revision = (*state)->revision;
    if (::write(acknowledge, &revision, sizeof(revision)) != sizeof(revision)) _exit(3);
  }
}

TEST(DurabilityTest, KilledFiftyTimes) {
  std::string name = StrCat(testing::TempDir(), "/durable.XXXXXX");
  const std::string dir = mkdtemp(name.data());
  std::mt19937 random(20260101);
  uint64_t acknowledged = 0;
  for (int round = 0; round < 50; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      WriteForEver(dir, ends[1]);
    }
    ::close(ends[1]);
    // A random number of changes, then a random piece of the next one.
    uint64_t revision = 0;
    for (uint64_t left = random() % 40; left > 0; --left) {
      ASSERT_EQ(::read(ends[0], &revision, sizeof(revision)), ssize_t{sizeof(revision)});
      acknowledged = revision;
    }
    ::usleep(random() % 3000);
    ::kill(child, SIGKILL);
    while (::read(ends[0], &revision, sizeof(revision)) == sizeof(revision)) {
      acknowledged = revision;
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);

    const auto store = OpenSqliteStore(dir);
    ASSERT_TRUE(store.ok()) << store.status();
    const auto state = (*store)->Read();
    ASSERT_GE(state->revision, acknowledged);
    ASSERT_EQ(state->containers.size(), state->revision);
    for (uint64_t r = 1; r <= state->revision; ++r) {
      const auto record = state->containers.Find(Id(r));
      ASSERT_NE(record, nullptr) << r;
      ASSERT_EQ(record->revision, r);
    }
  }
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace sallyport
