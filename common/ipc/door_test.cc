#include "common/ipc/door.h"

#include <sys/socket.h>

#include <string>
#include <utility>

#include "common/ipc/frame.h"
#include "gtest/gtest.h"

namespace sallyport {
namespace {

TEST(DoorTest, ASessionCarriesFramesBothWays) {
  const Door door = MakeDoor().value();
  const UniqueFd ours = OpenSession(door.outside.get()).value();
  const UniqueFd theirs = TakeSession(door.inside.get()).value();
  ASSERT_TRUE(SendFrame(ours.get(), "command", {}).ok());
  EXPECT_EQ(ReceiveFrame(theirs.get())->payload, "command");
  ASSERT_TRUE(SendFrame(theirs.get(), "answer", {}).ok());
  EXPECT_EQ(ReceiveFrame(ours.get())->payload, "answer");
}

TEST(DoorTest, AfterHalfAFrameTheNextSessionBeginsAnew) {
  const Door door = MakeDoor().value();
  UniqueFd first = OpenSession(door.outside.get()).value();
  ASSERT_EQ(send(first.get(), "\0\0\0\x09half", 8, 0), 8);
  first.Reset();
  const UniqueFd second = OpenSession(door.outside.get()).value();
  ASSERT_TRUE(SendFrame(second.get(), "whole", {}).ok());
  {
    const UniqueFd session = TakeSession(door.inside.get()).value();
    EXPECT_EQ(ReceiveFrame(session.get()).status().code(), absl::StatusCode::kDataLoss);
  }
  const UniqueFd session = TakeSession(door.inside.get()).value();
  EXPECT_EQ(ReceiveFrame(session.get())->payload, "whole");
}

TEST(DoorTest, SessionsAreTakenInOrderAndThenTheEndIsSeen) {
  Door door = MakeDoor().value();
  const UniqueFd first = OpenSession(door.outside.get()).value();
  const UniqueFd second = OpenSession(door.outside.get()).value();
  door.outside.Reset();
  ASSERT_TRUE(SendFrame(TakeSession(door.inside.get())->get(), "1", {}).ok());
  ASSERT_TRUE(SendFrame(TakeSession(door.inside.get())->get(), "2", {}).ok());
  EXPECT_EQ(ReceiveFrame(first.get())->payload, "1");
  EXPECT_EQ(ReceiveFrame(second.get())->payload, "2");
  EXPECT_EQ(TakeSession(door.inside.get()).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(DoorTest, NobodyInsideIsUnavailable) {
  Door door = MakeDoor().value();
  door.inside.Reset();
  EXPECT_EQ(OpenSession(door.outside.get()).status().code(), absl::StatusCode::kUnavailable);
}

// Of one who takes none, no more are kept than the kernel's queue holds, and nobody waits for him.
TEST(DoorTest, OneWhoTakesNoneHoldsNobodyUp) {
  const Door door = MakeDoor().value();
  absl::Status last;
  for (int i = 0; i < 10'000 && last.ok(); ++i) last = OpenSession(door.outside.get()).status();
  EXPECT_EQ(last.code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sallyport
