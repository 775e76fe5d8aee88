#include "controlplane/waiters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "controlplane/store/memory_store.h"

namespace sallyport {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Clock = Waiters::Clock;

constexpr auto kLong = std::chrono::hours(1);

class WaitersTest : public testing::Test {
 protected:
  WaitersTest() {
    Write([](Transaction& transaction) {
      v1::ContainerClass value;
      value.set_name("web");
      transaction.PutClass(value);
      v1::ContainerPolicy policy;
      policy.set_class_name("web");
      for (const char* id : {"web-1", "web-2"}) {
        policy.set_container_id(id);
        transaction.PutContainer(policy);
      }
      transaction.Place("web-1", "host-1");
      transaction.Place("web-2", "host-2");
    });
    stream_1_ = waiters_.Connected("host-1");
    stream_2_ = waiters_.Connected("host-2");
  }
  void Write(const std::function<void(Transaction&)>& edit) {
    ASSERT_TRUE(store_
                    ->Write([&](Transaction& transaction) {
                      edit(transaction);
                      return absl::OkStatus();
                    })
                    .ok());
  }
  uint64_t Wait(const ResourceId& subject, uint64_t revision, Clock::duration wait = kLong) {
    return waiters_.Wait({{subject, revision}}, Clock::now() + wait,
                         [this](const Waiters::Outcome& outcome) {
                           ++answers_;
                           outcome_ = outcome;
                         });
  }

  const std::unique_ptr<Store> store_ = MakeMemoryStore();
  int answers_ = 0;
  Waiters::Outcome outcome_;
  Waiters waiters_{store_.get()};
  uint64_t stream_1_ = 0;
  uint64_t stream_2_ = 0;
};

TEST_F(WaitersTest, AnswersWhenTheRevisionIsReached) {
  Wait(ResourceId::Container("web-1"), 5);
  waiters_.Report("host-1", stream_1_, {4, {}});
  EXPECT_EQ(answers_, 0);
  waiters_.Report("host-1", stream_1_, {6, {}});
  EXPECT_EQ(answers_, 1);
  EXPECT_THAT(outcome_.enforced, ElementsAre("host-1"));
  waiters_.Report("host-1", stream_1_, {7, {}});
  EXPECT_EQ(answers_, 1);
}

TEST_F(WaitersTest, AnswersAtOnceWhatHoldsAlready) {
  waiters_.Report("host-1", stream_1_, {5, {}});
  Wait(ResourceId::Container("web-1"), 5);
  EXPECT_EQ(answers_, 1);
  EXPECT_THAT(outcome_.pending, IsEmpty());
}

TEST_F(WaitersTest, NobodyConcerned) {
  Wait(ResourceId::Handler("kv"), 5);
  EXPECT_EQ(answers_, 1);
  EXPECT_THAT(outcome_.enforced, IsEmpty());
}

TEST_F(WaitersTest, ClassWaitsForAllItsHosts) {
  Wait(ResourceId::Class("web"), 5);
  waiters_.Report("host-2", stream_2_, {5, {}});
  EXPECT_EQ(answers_, 0);
  waiters_.Report("host-1", stream_1_, {5, {}});
  EXPECT_EQ(answers_, 1);
  EXPECT_THAT(outcome_.enforced, ElementsAre("host-1", "host-2"));
}

TEST_F(WaitersTest, EachHostMustReachWhatConcernsIt) {
  waiters_.Wait({{ResourceId::Container("web-1"), 5}, {ResourceId::Container("web-2"), 9}},
                Clock::now() + kLong, [this](const Waiters::Outcome& outcome) {
                  ++answers_;
                  outcome_ = outcome;
                });
  waiters_.Report("host-1", stream_1_, {5, {}});
  waiters_.Report("host-2", stream_2_, {8, {}});
  EXPECT_EQ(answers_, 0);
  waiters_.Report("host-2", stream_2_, {9, {{ResourceId::Container("web-2"), "bad"}}});
  EXPECT_EQ(answers_, 1);
  EXPECT_THAT(outcome_.enforced, ElementsAre("host-1"));
  EXPECT_THAT(outcome_.rejections, ElementsAre("host-2 refused container web-2: bad"));
}

TEST_F(WaitersTest, PassedDeadlineAnswersAtOnce) {
  Wait(ResourceId::Container("web-1"), 5, Clock::duration::zero());
  EXPECT_EQ(answers_, 1);
  EXPECT_THAT(outcome_.pending, ElementsAre("host-1"));
}

TEST_F(WaitersTest, TimerAnswersInOrderOfDeadlines) {
  std::promise<int> first;
  const auto answer = [&first](int which) {
    return [&first, which](const Waiters::Outcome&) {
      if (which != 0) first.set_value(which);
    };
  };
  const Clock::time_point now = Clock::now();
  const ResourceId subject = ResourceId::Container("web-1");
  const uint64_t late = waiters_.Wait({{subject, 5}}, now + kLong, answer(2));
  waiters_.Wait({{subject, 5}}, now + std::chrono::milliseconds(5), answer(1));
  EXPECT_EQ(first.get_future().get(), 1);
  EXPECT_TRUE(waiters_.Cancel(late));
}

TEST_F(WaitersTest, CancelledIsNeverAnswered) {
  const uint64_t id = Wait(ResourceId::Container("web-1"), 5);
  EXPECT_TRUE(waiters_.Cancel(id));
  waiters_.Report("host-1", stream_1_, {5, {}});
  EXPECT_EQ(answers_, 0);
  EXPECT_FALSE(waiters_.Cancel(id));
}

TEST_F(WaitersTest, AnsweredIsNotCancelled) {
  const uint64_t id = Wait(ResourceId::Container("web-1"), 5);
  waiters_.Report("host-1", stream_1_, {5, {}});
  EXPECT_FALSE(waiters_.Cancel(id));
}

TEST_F(WaitersTest, ReportsOfAnOlderStreamDoNotCount) {
  Wait(ResourceId::Container("web-1"), 5);
  const uint64_t newer = waiters_.Connected("host-1");
  waiters_.Report("host-1", stream_1_, {5, {}});
  EXPECT_EQ(answers_, 0);
  waiters_.Report("host-1", newer, {5, {}});
  EXPECT_EQ(answers_, 1);
}

TEST_F(WaitersTest, RefusalOfTheSubjectOnly) {
  const ResourceId one = ResourceId::Container("web-1");
  waiters_.Report("host-1", stream_1_, {5, {{ResourceId::Class("other"), "no"}}});
  Wait(one, 5);
  EXPECT_THAT(outcome_.rejections, IsEmpty());
  waiters_.Report("host-1", stream_1_, {5, {{one, "bad"}}});
  Wait(one, 5);
  EXPECT_THAT(outcome_.rejections, ElementsAre("host-1 refused container web-1: bad"));
  EXPECT_THAT(outcome_.enforced, IsEmpty());
}

TEST_F(WaitersTest, HostThatTheContainerLeft) {
  Wait(ResourceId::Class("web"), 5);
  waiters_.Report("host-2", stream_2_, {5, {}});
  Write([](Transaction& transaction) { transaction.Unplace("web-1"); });
  waiters_.Recheck("host-1");
  EXPECT_EQ(answers_, 1);
  EXPECT_THAT(outcome_.enforced, ElementsAre("host-2"));
  EXPECT_THAT(outcome_.pending, IsEmpty());
}

TEST_F(WaitersTest, ProgressOutlivesTheStreamOfAHostWithContainers) {
  waiters_.Report("host-1", stream_1_, {5, {}});
  waiters_.Disconnected("host-1", stream_1_);
  EXPECT_EQ(waiters_.ProgressOf("host-1")->revision, 5u);
  Write([](Transaction& transaction) { transaction.Unplace("web-2"); });
  waiters_.Disconnected("host-2", stream_2_);
  EXPECT_FALSE(waiters_.ProgressOf("host-2").has_value());
}

TEST_F(WaitersTest, AnswerAllAnswersNowAndLater) {
  Wait(ResourceId::Container("web-1"), 5);
  waiters_.AnswerAll();
  EXPECT_EQ(answers_, 1);
  EXPECT_THAT(outcome_.pending, ElementsAre("host-1"));
  Wait(ResourceId::Container("web-1"), 5);
  EXPECT_EQ(answers_, 2);
}

}  // namespace
}  // namespace sallyport
