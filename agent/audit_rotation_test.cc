#include "agent/audit_rotation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "agent/audit_file.h"

namespace sallyport::agent {
namespace {

using ::testing::UnorderedElementsAre;

// What the proxy does: it writes to the file that it was given last.
class AuditRotationTest : public ::testing::Test {
 protected:
  void TearDown() override {
    rotation_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Start(uint64_t max_bytes, int64_t keep) {
    absl::StatusOr<UniqueFd> file = OpenAuditFile("--audit", path_);
    ASSERT_TRUE(file.ok()) << file.status();
    MutexLock lock(&mutex_);
    file_ = *std::move(file);
    rotation_ = std::make_unique<AuditRotation>(
        AuditRotation::Options{.path = path_,
                               .max_bytes = max_bytes,
                               .keep = keep,
                               .period = std::chrono::milliseconds(1)},
        AuditRotation::IdOf(file_).value(), [this](UniqueFd next) {
          MutexLock lock(&mutex_);
          file_ = std::move(next);
          ++swaps_;
          swapped_.SignalAll();
        });
  }
  void Write(const std::string& line) {
    MutexLock lock(&mutex_);
    ASSERT_EQ(write(file_.get(), line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }
  void AwaitSwaps(int count) {
    MutexLock lock(&mutex_);
    while (swaps_ < count) swapped_.Wait(&mutex_);
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_))
      names.push_back(entry.path().filename());
    return names;
  }
  std::string Content(const std::string& name) const {
    std::ifstream file(directory_ + "/" + name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  const std::string directory_ = [] {
    std::string pattern = testing::TempDir() + "/audit.XXXXXX";
    return std::string(mkdtemp(pattern.data()));
  }();
  const std::string path_ = directory_ + "/audit.jsonl";
  Mutex mutex_;
  CondVar swapped_;
  UniqueFd file_ ABSL_GUARDED_BY(mutex_);
  int swaps_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<AuditRotation> rotation_;
};

TEST_F(AuditRotationTest, AFullFileBecomesTheFirstOfThoseThatAreKept) {
  Start(/*max_bytes=*/4, /*keep=*/2);
  for (int i = 1; i <= 4; ++i) {
    Write("{" + std::to_string(i) + "}\n");
    AwaitSwaps(i);
  }
  Write("{5");
  EXPECT_THAT(Files(), UnorderedElementsAre("audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"));
  EXPECT_EQ(Content("audit.jsonl"), "{5");
  EXPECT_EQ(Content("audit.jsonl.1"), "{4}\n");
  EXPECT_EQ(Content("audit.jsonl.2"), "{3}\n");
}

TEST_F(AuditRotationTest, AFileThatWasMovedAwayIsMadeAnew) {
  Start(/*max_bytes=*/0, /*keep=*/1);
  Write("old\n");
  std::filesystem::rename(path_, path_ + "-2026");
  AwaitSwaps(1);
  Write("new\n");
  std::filesystem::remove(path_);
  AwaitSwaps(2);
  Write("newer\n");
  EXPECT_THAT(Files(), UnorderedElementsAre("audit.jsonl", "audit.jsonl-2026"));
  EXPECT_EQ(Content("audit.jsonl-2026"), "old\n");
  EXPECT_EQ(Content("audit.jsonl"), "newer\n");
}

TEST_F(AuditRotationTest, WithoutRoomForANewFileTheOldOneIsKept) {
  Start(/*max_bytes=*/4, /*keep=*/1);
  // What is in the way cannot be renamed over.
  std::filesystem::create_directories(path_ + ".1/x");
  Write("{1}\n");
  // Some looks later: `swaps_` would have told.
  std::filesystem::remove_all(path_ + ".1");
  AwaitSwaps(1);
  EXPECT_EQ(Content("audit.jsonl.1"), "{1}\n");
}

TEST(AuditRotationOfOthersTest, APipeIsNotRotated) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  EXPECT_FALSE(AuditRotation::IdOf(writer).has_value());
}

}  // namespace
}  // namespace sallyport::agent
