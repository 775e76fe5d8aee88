#include "agent/policy_cache.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

namespace fs = std::filesystem;

v1::Delta Delta(uint64_t revision, uint64_t epoch = 7) {
  v1::Delta delta;
  delta.set_epoch(epoch);
  delta.set_revision(revision);
  return delta;
}
void AddContainer(v1::Delta* delta, const std::string& id, const std::string& class_name = "c") {
  v1::Resource* const resource = delta->add_updated();
  resource->set_revision(delta->revision());
  resource->mutable_container()->set_container_id(id);
  resource->mutable_container()->set_class_name(class_name);
}
v1::ResourceKey ContainerKey(const std::string& id) {
  v1::ResourceKey key;
  key.set_kind(v1::RESOURCE_KIND_CONTAINER);
  key.set_name(id);
  return key;
}

class PolicyCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/cache.XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(directory_); }
  std::unique_ptr<PolicyCache> Open() {
    absl::StatusOr<std::unique_ptr<PolicyCache>> cache = PolicyCache::Open(directory_);
    EXPECT_TRUE(cache.ok()) << cache.status();
    return *std::move(cache);
  }
  std::string file() const { return directory_ + "/policy.cache"; }
  std::string log() const { return directory_ + "/policy.log"; }
  std::string Bytes() const { return Bytes(file()); }
  static std::string Bytes(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string directory_;
};

TEST_F(PolicyCacheTest, StartsEmpty) {
  auto cache = Open();
  EXPECT_EQ(cache->revision(), 0u);
  EXPECT_TRUE(cache->Full().reset());
  EXPECT_EQ(cache->Full().updated_size(), 0);
}

TEST_F(PolicyCacheTest, SurvivesARestart) {
  v1::Delta delta = Delta(41);
  AddContainer(&delta, "web-1", "agents");
  delta.add_updated()->mutable_class_()->set_name("agents");
  delta.add_updated()->mutable_handler()->set_name("github");
  ASSERT_TRUE(Open()->Commit(delta, {}).ok());

  auto cache = Open();
  EXPECT_EQ(cache->revision(), 41u);
  EXPECT_EQ(cache->Full().epoch(), 7u);
  EXPECT_EQ(cache->Full().updated_size(), 3);
  EXPECT_EQ(cache->ClassOf("web-1"), "agents");
  struct stat found{};
  ASSERT_EQ(stat(file().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
}

TEST_F(PolicyCacheTest, ADeltaTouchesOnlyWhatItNames) {
  auto cache = Open();
  v1::Delta first = Delta(1);
  AddContainer(&first, "a");
  AddContainer(&first, "b");
  ASSERT_TRUE(cache->Commit(first, {}).ok());
  v1::Delta second = Delta(2);
  *second.add_removed() = ContainerKey("a");
  ASSERT_TRUE(cache->Commit(second, {}).ok());
  EXPECT_EQ(cache->ClassOf("a"), std::nullopt);
  EXPECT_EQ(cache->ClassOf("b"), "c");
  ASSERT_TRUE(cache->Commit(Delta(3), {}).ok());
  EXPECT_EQ(cache->ClassOf("b"), "c");
}

TEST_F(PolicyCacheTest, AResetForgetsEverythingFirst) {
  auto cache = Open();
  v1::Delta first = Delta(9);
  AddContainer(&first, "a");
  ASSERT_TRUE(cache->Commit(first, {}).ok());
  v1::Delta second = Delta(1, /*epoch=*/8);
  second.set_reset(true);
  AddContainer(&second, "b");
  ASSERT_TRUE(cache->Commit(second, {}).ok());
  EXPECT_EQ(cache->ClassOf("a"), std::nullopt);
  EXPECT_EQ(cache->ClassOf("b"), "c");
  EXPECT_EQ(cache->revision(), 1u);
}

TEST_F(PolicyCacheTest, OfARejectedResourceTheLastGoodVersionStays) {
  auto cache = Open();
  v1::Delta first = Delta(1);
  AddContainer(&first, "a", "good");
  ASSERT_TRUE(cache->Commit(first, {}).ok());
  v1::Delta second = Delta(2);
  AddContainer(&second, "a", "bad");
  AddContainer(&second, "b", "fine");
  v1::Ack::Rejected rejected;
  *rejected.mutable_key() = ContainerKey("a");
  ASSERT_TRUE(cache->Commit(second, {rejected}).ok());
  EXPECT_EQ(cache->ClassOf("a"), "good");
  EXPECT_EQ(cache->ClassOf("b"), "fine");
  v1::Hello hello;
  cache->FillHello(&hello);
  ASSERT_EQ(hello.known_size(), 2);
  EXPECT_EQ(hello.epoch(), 7u);
  EXPECT_EQ(hello.known(0).revision(), 1u);
  EXPECT_EQ(hello.known(1).revision(), 2u);
}

TEST_F(PolicyCacheTest, OldAndForeignDeltasAreRefused) {
  auto cache = Open();
  ASSERT_TRUE(cache->Commit(Delta(5), {}).ok());
  EXPECT_TRUE(cache->Commit(Delta(5), {}).ok());
  EXPECT_EQ(cache->Commit(Delta(4), {}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(cache->Commit(Delta(6, /*epoch=*/8), {}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(cache->revision(), 5u);
}

TEST_F(PolicyCacheTest, APartLeavesTheRevisionAsItIs) {
  auto cache = Open();
  ASSERT_TRUE(cache->Commit(Delta(5), {}).ok());
  v1::Delta part = Delta(0);
  AddContainer(&part, "a");
  ASSERT_TRUE(cache->Commit(part, {}).ok());
  EXPECT_EQ(cache->revision(), 5u);
  EXPECT_EQ(cache->ClassOf("a"), "c");
}

TEST_F(PolicyCacheTest, AResetMayLeadBack) {
  auto cache = Open();
  ASSERT_TRUE(cache->Commit(Delta(5), {}).ok());
  v1::Delta reset = Delta(3);
  reset.set_reset(true);
  ASSERT_TRUE(cache->Commit(reset, {}).ok());
  EXPECT_EQ(cache->revision(), 3u);
}

TEST_F(PolicyCacheTest, ForgetRemovesOneContainer) {
  auto cache = Open();
  v1::Delta delta = Delta(1);
  AddContainer(&delta, "a");
  AddContainer(&delta, "b");
  ASSERT_TRUE(cache->Commit(delta, {}).ok());
  ASSERT_TRUE(cache->Forget("a").ok());
  ASSERT_TRUE(cache->Forget("never-there").ok());
  EXPECT_EQ(Open()->ClassOf("a"), std::nullopt);
  EXPECT_EQ(Open()->ClassOf("b"), "c");
}

TEST_F(PolicyCacheTest, AnyDamageIsAnEmptyCache) {
  v1::Delta delta = Delta(41);
  AddContainer(&delta, "web-1");
  ASSERT_TRUE(Open()->Commit(delta, {}).ok());
  const std::string good = Bytes();
  for (size_t i = 0; i < good.size(); ++i) {
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    std::ofstream(file(), std::ios::binary | std::ios::trunc) << flipped;
    EXPECT_EQ(Open()->revision(), 0u) << "byte " << i;
    std::ofstream(file(), std::ios::binary | std::ios::trunc) << good.substr(0, i);
    EXPECT_EQ(Open()->revision(), 0u) << "cut at " << i;
  }
}

TEST_F(PolicyCacheTest, AFileThatOthersCanWriteIsAnEmptyCache) {
  ASSERT_TRUE(Open()->Commit(Delta(41), {}).ok());
  for (const mode_t mode : {0620, 0602, 0666}) {
    ASSERT_EQ(chmod(file().c_str(), mode), 0);
    EXPECT_EQ(Open()->revision(), 0u) << mode;
  }
  ASSERT_EQ(chmod(file().c_str(), 0644), 0);
  EXPECT_EQ(Open()->revision(), 41u);
}

TEST_F(PolicyCacheTest, AHalfWrittenSuccessorDoesNotCount) {
  v1::Delta delta = Delta(41);
  ASSERT_TRUE(Open()->Commit(delta, {}).ok());
  std::ofstream(file() + ".new") << "half";
  auto cache = Open();
  EXPECT_EQ(cache->revision(), 41u);
  EXPECT_TRUE(cache->Commit(Delta(42), {}).ok());
}

TEST_F(PolicyCacheTest, WhatCannotBeWrittenIsNotHeld) {
  auto cache = Open();
  ASSERT_TRUE(cache->Commit(Delta(1), {}).ok());
  // Stands where the new file would be written, for root too.
  fs::create_directories(file() + ".new/x");
  v1::Delta reset = Delta(2);
  reset.set_reset(true);
  EXPECT_FALSE(cache->Commit(reset, {}).ok());
  EXPECT_EQ(cache->revision(), 1u);
  EXPECT_EQ(Open()->revision(), 1u);
}

// Containers r1, r2, …, each by a delta of that revision.
void CommitContainers(PolicyCache* cache, int count) {
  for (int i = 1; i <= count; ++i) {
    v1::Delta delta = Delta(i);
    AddContainer(&delta, "r" + std::to_string(i));
    ASSERT_TRUE(cache->Commit(delta, {}).ok());
  }
}

TEST_F(PolicyCacheTest, ChangesGoToTheLogAndAreReplayed) {
  auto cache = Open();
  CommitContainers(cache.get(), 1);
  const std::string whole = Bytes();
  for (int i = 2; i <= 4; ++i) {
    v1::Delta delta = Delta(i);
    AddContainer(&delta, "r" + std::to_string(i));
    ASSERT_TRUE(cache->Commit(delta, {}).ok());
  }
  ASSERT_TRUE(cache->Forget("r2").ok());
  EXPECT_EQ(Bytes(), whole);

  cache = Open();
  EXPECT_EQ(cache->revision(), 4u);
  EXPECT_EQ(cache->ClassOf("r1"), "c");
  EXPECT_EQ(cache->ClassOf("r2"), std::nullopt);
  EXPECT_EQ(cache->ClassOf("r4"), "c");
  ASSERT_TRUE(cache->Commit(Delta(5), {}).ok());
  EXPECT_EQ(Open()->revision(), 5u);
}

TEST_F(PolicyCacheTest, ATornRecordEndsTheLog) {
  CommitContainers(Open().get(), 4);
  const std::string good = Bytes(log());
  const size_t end = good.find_last_not_of('\0') + 1;
  // Of the last record, whose payload holds the name.
  for (size_t i = good.rfind("r4"); i < end; ++i) {
    std::string torn = good;
    torn[i] = static_cast<char>(torn[i] ^ 1);
    std::ofstream(log(), std::ios::binary | std::ios::trunc) << torn;
    EXPECT_EQ(Open()->revision(), 3u) << "byte " << i;
  }
}

TEST_F(PolicyCacheTest, AFullLogBecomesAWholeFile) {
  auto cache = Open();
  CommitContainers(cache.get(), 1);
  const std::string whole = Bytes();
  for (int i = 2; i < 30; ++i) {
    v1::Delta delta = Delta(i);
    AddContainer(&delta, "large", std::string(100'000, 'x') + std::to_string(i));
    ASSERT_TRUE(cache->Commit(delta, {}).ok());
  }
  EXPECT_NE(Bytes(), whole);
  EXPECT_EQ(Open()->revision(), 29u);
  EXPECT_EQ(Open()->ClassOf("large"), cache->ClassOf("large"));
  EXPECT_EQ(fs::file_size(log()), PolicyLog::kBytes);
}

TEST_F(PolicyCacheTest, RecordsBeforeAWholeFileDoNotCount) {
  auto cache = Open();
  CommitContainers(cache.get(), 4);
  const std::string old = Bytes(log());
  v1::Delta reset = Delta(2);
  reset.set_reset(true);
  ASSERT_TRUE(cache->Commit(reset, {}).ok());
  EXPECT_EQ(Bytes(log()), old);
  EXPECT_EQ(Open()->revision(), 2u);
  EXPECT_EQ(Open()->Full().updated_size(), 0);
}

// A full disk may have left it so.
TEST_F(PolicyCacheTest, ALogThatWasOnlyBegunIsNoLog) {
  CommitContainers(Open().get(), 1);
  fs::resize_file(log(), 4096);
  auto cache = Open();
  EXPECT_EQ(cache->revision(), 1u);
  ASSERT_TRUE(cache->Commit(Delta(2), {}).ok());
  ASSERT_TRUE(cache->Commit(Delta(3), {}).ok());
  EXPECT_EQ(Open()->revision(), 3u);
}

// Else an older policy than the one that was acknowledged would come back.
TEST_F(PolicyCacheTest, WithALogThatCannotBeReadTheCacheIsEmpty) {
  CommitContainers(Open().get(), 4);
  fs::remove(log());
  fs::create_directory(log());
  EXPECT_EQ(Open()->revision(), 0u);
}

}  // namespace
}  // namespace sallyport::agent
