#include "controlplane/write_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "controlplane/store/memory_store.h"

namespace sallyport {
namespace {

Store::Edit Put(const std::string& id) {
  return [id](Transaction& transaction) {
    v1::ContainerPolicy policy;
    policy.set_container_id(id);
    policy.set_class_name("web");
    transaction.PutContainer(policy);
    return absl::OkStatus();
  };
}

class WriteQueueTest : public testing::Test {
 protected:
  // Puts an edit in line whose answer is kept, by the order in which it was given.
  void Write(Store::Edit edit) {
    const size_t index = given_++;
    ASSERT_TRUE(queue_->Write(std::move(edit), [this, index](const Store::Written& written) {
      answers_.resize(std::max(answers_.size(), index + 1));
      answers_[index] = written;
    }));
  }
  // The queue's thread is in an edit until Release: whatever is given meanwhile is one batch.
  void Hold() {
    held_ = std::make_unique<Gate>();
    Write([gate = held_.get()](Transaction&) {
      MutexLock lock(&gate->mutex);
      gate->entered = true;
      gate->changed.SignalAll();
      while (!gate->open) gate->changed.Wait(&gate->mutex);
      return absl::OkStatus();
    });
    MutexLock lock(&held_->mutex);
    while (!held_->entered) held_->changed.Wait(&held_->mutex);
  }
  void Release() {
    MutexLock lock(&held_->mutex);
    held_->open = true;
    held_->changed.SignalAll();
  }
  // Waits for all answers.
  void Finish() { queue_.reset(); }
  const Store::Written& answer(size_t index) { return *answers_.at(index); }

  struct Gate {
    Mutex mutex;
    CondVar changed;
    bool entered ABSL_GUARDED_BY(mutex) = false;
    bool open ABSL_GUARDED_BY(mutex) = false;
  };
  std::shared_ptr<StorageFaults> faults_ = std::make_shared<StorageFaults>();
  std::unique_ptr<Store> store_ = MakeMemoryStore(1, faults_);
  std::unique_ptr<Gate> held_;
  size_t given_ = 0;
  std::vector<std::optional<Store::Written>> answers_;  // Written by the queue's thread.
  std::unique_ptr<WriteQueue> queue_ = std::make_unique<WriteQueue>(store_.get(), 1000);
};

TEST_F(WriteQueueTest, EditsInLineShareOneCommitAndKeepTheirRevisions) {
  Hold();
  for (int i = 0; i < 100; ++i) Write(Put(StrCat("c-", i)));
  Release();
  Finish();
  EXPECT_EQ(faults_->commits(), 1);
  for (uint64_t i = 0; i < 100; ++i) {
    const Store::Written& written = answer(i + 1);
    ASSERT_TRUE(written.ok());
    EXPECT_EQ((*written)->revision, i + 1);
    EXPECT_EQ((*written)->containers.size(), i + 1);
    EXPECT_EQ(store_->Read()->containers.Find(StrCat("c-", i))->revision, i + 1);
  }
}

TEST_F(WriteQueueTest, EditThatFailsTouchesNoOther) {
  Hold();
  Write(Put("a"));
  Write([](Transaction& transaction) {
    transaction.DeleteContainer("a");
    return absl::InvalidArgumentError("no");
  });
  Write(Put("b"));
  Release();
  Finish();
  EXPECT_EQ((*answer(1))->revision, 1u);
  EXPECT_TRUE(absl::IsInvalidArgument(answer(2).status()));
  EXPECT_EQ((*answer(3))->revision, 2u);
  EXPECT_EQ(store_->Read()->containers.size(), 2u);
}

TEST_F(WriteQueueTest, FailedCommitFailsAllOfItsEditsAndChangesNothing) {
  Hold();
  Write(Put("a"));
  Write(Put("a"));  // Changes nothing, but only because of the one before.
  Write([](Transaction&) { return absl::InvalidArgumentError("no"); });
  faults_->Fail(absl::UnavailableError("the disk is full"));
  Release();
  Finish();
  for (size_t i = 1; i <= 3; ++i) EXPECT_TRUE(absl::IsUnavailable(answer(i).status()));
  EXPECT_EQ(store_->Read()->revision, 0u);
  EXPECT_EQ(store_->Read()->containers.size(), 0u);
}

TEST_F(WriteQueueTest, LongLineIsSeveralCommits) {
  Hold();
  for (int i = 0; i < 600; ++i) Write(Put(StrCat("c-", i)));
  Release();
  Finish();
  EXPECT_EQ(faults_->commits(), 3);
  EXPECT_EQ(store_->Read()->revision, 600u);
}

TEST_F(WriteQueueTest, FullLineRefuses) {
  queue_ = std::make_unique<WriteQueue>(store_.get(), 2);
  Hold();
  Write(Put("a"));
  Write(Put("b"));
  bool ran = false;
  EXPECT_FALSE(queue_->Write(Put("c"), [&ran](const Store::Written&) { ran = true; }));
  Release();
  Finish();
  EXPECT_FALSE(ran);
  EXPECT_EQ(store_->Read()->containers.size(), 2u);
}

}  // namespace
}  // namespace sallyport
