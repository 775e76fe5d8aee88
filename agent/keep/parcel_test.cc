#include "agent/keep/parcel.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

bool SameFile(int a, int b) {
  struct stat first, second;
  return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

TEST(ParcelTest, HoldsARecordAndDescriptorsInOrder) {
  const UniqueFd null(open("/dev/null", O_RDONLY)), zero(open("/dev/zero", O_RDONLY));
  const int fds[] = {null.get(), zero.get()};
  const UniqueFd packed = Pack("record", fds).value();
  const Parcel parcel = Unpack(packed.get()).value();
  EXPECT_EQ(parcel.record, "record");
  ASSERT_EQ(parcel.fds.size(), 2u);
  EXPECT_TRUE(SameFile(parcel.fds[0].get(), null.get()));
  EXPECT_TRUE(SameFile(parcel.fds[1].get(), zero.get()));
  EXPECT_EQ(fcntl(parcel.fds[0].get(), F_GETFD), FD_CLOEXEC);
}

TEST(ParcelTest, StaysPackedAndOutlivesItsMaker) {
  int pipe_ends[2];
  ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  const UniqueFd reader(pipe_ends[0]);
  UniqueFd writer(pipe_ends[1]);
  const int fds[] = {writer.get()};
  UniqueFd packed = Pack("record", fds).value();
  writer.Reset();
  for (int i = 0; i < 3; ++i) {
    const Parcel parcel = Unpack(packed.get()).value();
    ASSERT_EQ(parcel.fds.size(), 1u);
    ASSERT_EQ(write(parcel.fds[0].get(), "x", 1), 1);
    char byte;
    ASSERT_EQ(read(reader.get(), &byte, 1), 1);
  }
  // With the parcel goes what is in it.
  packed.Reset();
  char byte;
  EXPECT_EQ(read(reader.get(), &byte, 1), 0);
}

TEST(ParcelTest, HoldsAsMuchAsItSays) {
  const UniqueFd packed = Pack(std::string(kMaxParcelBytes, 'x'), {}).value();
  EXPECT_EQ(Unpack(packed.get())->record, std::string(kMaxParcelBytes, 'x'));
  EXPECT_FALSE(Pack(std::string(kMaxParcelBytes + 1, 'x'), {}).ok());
}

TEST(ParcelTest, AnythingElseIsNone) {
  const UniqueFd null(open("/dev/null", O_RDONLY));
  EXPECT_EQ(Unpack(null.get()).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace sallyport::agent
