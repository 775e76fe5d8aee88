// The program is killed at random moments under write load, and started again on what it left:
// every change that was answered is there, none is there in part, and the database is whole.
//
// SALLYPORT_KILLS says how often (kill_full_test: 1,000).

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/base/strings.h"
#include "controlplane/store/sqlite.h"
#include "controlplane/testing/kill_writer.h"
#include "controlplane/testing/program.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;

constexpr int kWriters = 4;

int Kills() {
  const char* text = std::getenv("SALLYPORT_KILLS");
  return text == nullptr ? 150 : std::atoi(text);
}

class KillTest : public testing::Test {
 protected:
  KillTest() {
    std::string name = "/tmp/kill.XXXXXX";
    dir_ = mkdtemp(name.data());
    for (int i = 0; i < kWriters; ++i) writers_.push_back(std::make_unique<KillWriter>(i));
  }
  ~KillTest() override { fs::remove_all(dir_); }

  std::string Address() const { return StrCat("unix:", dir_, "/s"); }
  std::unique_ptr<Program> Start() const {
    return std::make_unique<Program>(
        std::vector<std::string>{"--state-dir", dir_ + "/state", "--listen", Address()});
  }
  // Whether a sallyportd that was killed before it listened left something to start from.
  void KillWhileStarting() {
    const auto program = Start();
    ::usleep(random_() % 30'000);
    program->Signal(SIGKILL);
    EXPECT_EQ(program->Wait(), -SIGKILL);
  }
  // All write, until the program is killed after a random time.
  void KillUnderLoad(Program* program) {
    std::atomic<int> answered = 0;
    std::vector<std::thread> threads;
    std::atomic<int> running = kWriters;
    for (const auto& writer : writers_) {
      threads.emplace_back([&] {
        writer->Run(Address(), &answered);
        --running;
      });
    }
    while (answered == 0 && running > 0) ::usleep(100);
    ::usleep(random_() % 30'000);
    program->Signal(SIGKILL);
    EXPECT_EQ(program->Wait(), -SIGKILL);
    for (std::thread& thread : threads) thread.join();
    answered_ += answered;
  }
  void CheckWhatIsThere() {
    const auto policy = PolicyAt(Address());
    for (const auto& writer : writers_) ASSERT_EQ(writer->Check(policy.get()), "");
  }
  // Of a copy, so that the program recovers by itself.
  std::string IntegrityOfCopy() {
    const std::string copy = dir_ + "/copy";
    fs::remove_all(copy);
    fs::copy(dir_ + "/state", copy);
    auto database =
        SqliteDatabase::Open(copy + "/controlplane.db", SqliteDatabase::Mode::kExisting);
    if (!database.ok()) return database.status().ToString();
    const auto check = database->QueryText("PRAGMA integrity_check");
    return check.ok() ? *check : check.status().ToString();
  }

  std::string dir_;
  std::mt19937 random_{20261128};
  std::vector<std::unique_ptr<KillWriter>> writers_;
  int answered_ = 0;
};

TEST_F(KillTest, LosesNothingThatWasAnswered) {
  const auto begin = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration starting{0};
  const int kills = Kills();
  ASSERT_GT(kills, 0);
  for (int kill = 0; kill < kills; ++kill) {
    const auto start = std::chrono::steady_clock::now();
    const auto program = Start();
    ASSERT_EQ(program->ReadTo("\n"), StrCat("listening on ", Address(), "\n")) << "kill " << kill;
    starting += std::chrono::steady_clock::now() - start;
    ASSERT_NO_FATAL_FAILURE(CheckWhatIsThere()) << "kill " << kill;
    KillUnderLoad(program.get());
    if (kill % 25 == 0) {
      ASSERT_EQ(IntegrityOfCopy(), "ok") << "kill " << kill;
      KillWhileStarting();
    }
  }
  const auto program = Start();
  ASSERT_EQ(program->ReadTo("\n"), StrCat("listening on ", Address(), "\n"));
  CheckWhatIsThere();
  const auto ms = [](auto duration) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  };
  std::printf("%d kills, %d changes answered, none lost; %lld ms in all, %.1f ms a start\n", kills,
              answered_, static_cast<long long>(ms(std::chrono::steady_clock::now() - begin)),
              static_cast<double>(ms(starting)) / kills);
}

}  // namespace
}  // namespace sallyport
