#include "controlplane/audit_streams.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport {
namespace {

class Stream final : public SyncStream {
 public:
  void Poke() override { ++pokes; }
  void Replace() override { replaced = true; }
  void Stop(const std::string&) override { stopped = true; }
  void Recheck() override {}
  int pokes = 0;
  bool replaced = false;
  bool stopped = false;
};

// Keeps what it is offered, as "PATH HOST+MISSING PATH".
class Follower final : public AuditFollower {
 public:
  explicit Follower(v1::AuditFilter filter) : filter_(std::move(filter)) {}
  const v1::AuditFilter& filter() const override { return filter_; }
  uint64_t Offer(AuditQueue::Item item, size_t bytes) override {
    EXPECT_GT(bytes, 0u);
    if (!text.empty()) text += " ";
    text += item->has_gap() ? item->gap().host() + "+" + std::to_string(item->gap().missing())
                            : item->record().path();
    return too_slow;
  }
  void Poke() override { ++pokes; }
  void Stop() override { stopped = true; }
  void Recheck() override {}
  std::string text;
  uint64_t too_slow = 0;
  int pokes = 0;
  bool stopped = false;

 private:
  const v1::AuditFilter filter_;
};

class AuditStreamsTest : public testing::Test {
 protected:
  static v1::AuditEntry Entry(const std::string& container, const std::string& path,
                              uint64_t missing = 0) {
    v1::AuditEntry entry;
    entry.mutable_record()->set_container_id(container);
    entry.mutable_record()->set_path(path);
    entry.set_missing(missing);
    return entry;
  }
  void Append(std::initializer_list<v1::AuditEntry> all) {
    v1::PublishRequest::Entries entries;
    entries.mutable_entries()->Add(all.begin(), all.end());
    streams_.Append("h", std::move(entries),
                    [](const std::string& container) { return container != "foreign"; });
  }
  std::shared_ptr<Follower> Follow(const v1::AuditFilter& filter = {}) {
    auto follower = std::make_shared<Follower>(filter);
    const absl::StatusOr<uint64_t> wanted = streams_.Add(follower);
    EXPECT_EQ(wanted.value_or(0), streams_.wanted_number());
    return follower;
  }
  static v1::AuditFilter Of(const std::string& container) {
    v1::AuditFilter filter;
    filter.set_container_id(container);
    return filter;
  }

  AuditStreams streams_;
};

TEST_F(AuditStreamsTest, FollowersGetWhatTheirFilterLetsThrough) {
  const auto all = Follow();
  const auto one = Follow(Of("b"));
  Append({Entry("a", "/1"), Entry("b", "/2"), Entry("a", "/3", 5)});
  EXPECT_EQ(all->text, "/1 /2 h+5 /3");
  EXPECT_EQ(one->text, "/2 h+5");
  EXPECT_EQ(streams_.stats().records, 3u);
}

TEST_F(AuditStreamsTest, RecordsOfForeignContainersAreMissing) {
  const auto all = Follow();
  Append({Entry("a", "/1"), Entry("foreign", "/2", 3), Entry("a", "/3")});
  EXPECT_EQ(all->text, "/1 h+4 /3");
  EXPECT_EQ(streams_.stats().refused, 1u);
}

TEST_F(AuditStreamsTest, CountsWhatFollowersAreTooSlowFor) {
  const auto slow = Follow();
  slow->too_slow = 3;
  Append({Entry("a", "/1"), Entry("a", "/2")});
  EXPECT_EQ(streams_.stats().missed, 6u);
}

TEST_F(AuditStreamsTest, AgentsHearWhatIsWanted) {
  const auto stream = std::make_shared<Stream>();
  streams_.Claim("h", stream);
  EXPECT_EQ(streams_.Wanted().filters_size(), 0);
  const auto narrow = Follow(Of("a"));
  const auto same = Follow(Of("a"));
  EXPECT_EQ(stream->pokes, 2);
  ASSERT_EQ(streams_.Wanted().filters_size(), 1);
  EXPECT_EQ(streams_.Wanted().filters(0).container_id(), "a");
  const auto wide = Follow();
  ASSERT_EQ(streams_.Wanted().filters_size(), 1);
  EXPECT_EQ(streams_.Wanted().filters(0).container_id(), "");
  for (const auto& follower : {narrow, same, wide}) streams_.Remove(follower.get());
  EXPECT_EQ(streams_.Wanted().filters_size(), 0);
  EXPECT_EQ(stream->pokes, 6);
}

TEST_F(AuditStreamsTest, AHostThatIsReplacedOrGoesLeavesAGap) {
  const auto follower = Follow();
  const auto older = std::make_shared<Stream>();
  const auto newer = std::make_shared<Stream>();
  streams_.Claim("h", older);
  EXPECT_EQ(follower->text, "");
  streams_.Claim("h", newer);
  EXPECT_TRUE(older->replaced);
  streams_.Release("h", older.get());
  EXPECT_EQ(follower->text, "h+0");
  streams_.Release("h", newer.get());
  EXPECT_EQ(follower->text, "h+0 h+0");
  EXPECT_GT(follower->pokes, 0);
}

TEST_F(AuditStreamsTest, ReadyWhenEveryHostThatSendsHasHeard) {
  streams_.Claim("h", std::make_shared<Stream>());
  const auto follower = Follow();
  const uint64_t wanted = streams_.wanted_number();
  std::set<std::string> silent;
  streams_.NoteFollowing("h", wanted - 1);
  EXPECT_FALSE(streams_.IsReady(wanted, {"h", "silent"}, &silent));
  streams_.NoteFollowing("h", wanted);
  EXPECT_EQ(follower->pokes, 2);
  silent.clear();
  EXPECT_TRUE(streams_.IsReady(wanted, {"h", "silent"}, &silent));
  EXPECT_EQ(silent, std::set<std::string>{"silent"});
}

TEST_F(AuditStreamsTest, TakesSoManyFollowersAndNoneWhenItStops) {
  std::vector<std::shared_ptr<Follower>> followers;
  for (size_t i = 0; i < AuditStreams::kMaxFollowers; ++i) followers.push_back(Follow());
  EXPECT_TRUE(absl::IsResourceExhausted(
      streams_.Add(std::make_shared<Follower>(v1::AuditFilter())).status()));
  streams_.Remove(followers[0].get());
  const auto stream = std::make_shared<Stream>();
  streams_.Claim("h", stream);
  streams_.StopAll();
  EXPECT_TRUE(followers[1]->stopped);
  EXPECT_TRUE(stream->stopped);
  EXPECT_TRUE(
      absl::IsUnavailable(streams_.Add(std::make_shared<Follower>(v1::AuditFilter())).status()));
}

}  // namespace
}  // namespace sallyport
