#include "agent/audit_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

class AuditFileTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(directory_); }
  static absl::StatusCode Code(const std::string& path) {
    return OpenAuditFile("audit_path", path).status().code();
  }
  const std::string directory_ = [] {
    std::string pattern = testing::TempDir() + "/audit.XXXXXX";
    return std::string(mkdtemp(pattern.data()));
  }();
};

TEST_F(AuditFileTest, MakesAPrivateFileAndAppends) {
  const std::string path = directory_ + "/audit.jsonl";
  for (int i = 0; i < 2; ++i) {
    absl::StatusOr<UniqueFd> file = OpenAuditFile("audit_path", path);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_EQ(write(file->get(), "{}\n", 3), 3);
  }
  struct stat found{};
  ASSERT_EQ(stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_size, 6);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
}

TEST_F(AuditFileTest, AFifoNeedsAReader) {
  const std::string path = directory_ + "/fifo";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(Code(path), absl::StatusCode::kFailedPrecondition);
  UniqueFd reader(open(path.c_str(), O_RDONLY | O_NONBLOCK));
  absl::StatusOr<UniqueFd> file = OpenAuditFile("audit_path", path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_NE(fcntl(file->get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(AuditFileTest, APipeOfAProcessIsOpenedByItsDescriptor) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd reader(ends[0]), writer(ends[1]);
  EXPECT_EQ(Code("/proc/self/fd/" + std::to_string(writer.get())), absl::StatusCode::kOk);
}

TEST_F(AuditFileTest, TakesDevNullAndRefusesTheRest) {
  EXPECT_EQ(Code("/dev/null"), absl::StatusCode::kOk);
  EXPECT_EQ(Code(""), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Code("audit.jsonl"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Code(directory_), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Code(directory_ + "/none/audit.jsonl"), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace sallyport::agent
