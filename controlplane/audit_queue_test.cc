#include "controlplane/audit_queue.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport {
namespace {

AuditQueue::Item Record(int number) {
  const auto item = std::make_shared<v1::FollowResponse>();
  item->mutable_record()->set_path(std::to_string(number));
  return item;
}

AuditQueue::Item Gap(uint64_t missing) {
  const auto item = std::make_shared<v1::FollowResponse>();
  item->mutable_gap()->set_missing(missing);
  return item;
}

// All that is there, as "PATH +MISSING PATH".
std::string PopAll(AuditQueue* queue) {
  std::string text;
  while (const AuditQueue::Item item = queue->Pop()) {
    if (!text.empty()) text += " ";
    text += item->has_gap() ? "+" + std::to_string(item->gap().missing()) : item->record().path();
  }
  return text;
}

TEST(AuditQueue, KeepsOrder) {
  AuditQueue queue({.items = 4, .bytes = 1000});
  for (int number = 1; number <= 4; ++number) EXPECT_EQ(queue.Push(Record(number), 1), 0u);
  EXPECT_EQ(PopAll(&queue), "1 2 3 4");
  EXPECT_EQ(PopAll(&queue), "");
}

TEST(AuditQueue, DropsTheOlderHalfAndSaysHowMany) {
  AuditQueue queue({.items = 4, .bytes = 1000});
  uint64_t dropped = 0;
  for (int number = 1; number <= 5; ++number) dropped += queue.Push(Record(number), 1);
  EXPECT_EQ(dropped, 3u);
  EXPECT_EQ(PopAll(&queue), "+3 4 5");
  EXPECT_EQ(queue.Push(Record(6), 1), 0u);
  EXPECT_EQ(PopAll(&queue), "6");
}

TEST(AuditQueue, CountsNoRecordTwiceAndNoneAway) {
  AuditQueue queue({.items = 4, .bytes = 1000});
  uint64_t dropped = 0;
  for (int number = 1; number <= 100; ++number) dropped += queue.Push(Record(number), 1);
  const std::string text = PopAll(&queue);
  EXPECT_EQ(text.substr(0, text.find(' ')), "+" + std::to_string(dropped));
  EXPECT_EQ(text.substr(text.rfind(' ')), " 100");
}

TEST(AuditQueue, WhatADroppedGapSaidIsSaidAnyway) {
  AuditQueue queue({.items = 2, .bytes = 1000});
  queue.Push(Gap(10), 1);
  queue.Push(Record(1), 1);
  EXPECT_EQ(queue.Push(Record(2), 1), 11u);
  EXPECT_EQ(PopAll(&queue), "+11 2");
}

TEST(AuditQueue, KeepsNoMoreBytesThanItMay) {
  AuditQueue queue({.items = 100, .bytes = 10});
  queue.Push(Record(1), 6);
  queue.Push(Record(2), 3);
  EXPECT_EQ(queue.Push(Record(3), 2), 2u);
  EXPECT_EQ(PopAll(&queue), "+2 3");
  // One that is larger than all is kept alone.
  queue.Push(Record(4), 1);
  EXPECT_EQ(queue.Push(Record(5), 50), 1u);
  EXPECT_EQ(PopAll(&queue), "+1 5");
}

}  // namespace
}  // namespace sallyport
