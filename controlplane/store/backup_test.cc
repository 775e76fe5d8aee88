#include "controlplane/store/backup.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "common/base/strings.h"
#include "controlplane/store/offline.h"
#include "controlplane/store/sqlite_file.h"
#include "controlplane/store/sqlite_store.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;

v1::ContainerClass Class(const std::string& name) {
  v1::ContainerClass value;
  value.set_name(name);
  value.mutable_allowed_hosts()->add_hosts("api.example.com");
  return value;
}

v1::ContainerPolicy Container(const std::string& id) {
  v1::ContainerPolicy value;
  value.set_container_id(id);
  value.set_class_name("web");
  return value;
}

// Revision 7: a class, two containers, one of them placed, a handler.
State Sample() {
  State state;
  state.epoch = 41;
  state.revision = 7;
  state.SetClass(Class("web"), 3);
  state.SetContainer(Container("web-1"), 5);
  state.SetContainer(Container("web-2"), 6);
  v1::Handler handler;
  handler.set_name("kv");
  state.SetHandler(handler, 7);
  state.SetSecret("token", "sealed", 7);
  state.Place("web-1", "host-7");
  state.Place("web-2", "host-7", Stay::kEphemeral);
  return state;
}

class BackupTest : public testing::Test {
 protected:
  BackupTest() {
    std::string name = StrCat(testing::TempDir(), "/backup.XXXXXX");
    dir_ = mkdtemp(name.data());
  }
  ~BackupTest() override { fs::remove_all(dir_); }

  static std::string Refusal(const std::string& bytes) {
    const auto state = ReadBackup(bytes);
    EXPECT_EQ(state.status().code(), absl::StatusCode::kInvalidArgument) << state.status();
    return std::string(state.status().message());
  }
  std::string File() const { return dir_ + "/file"; }
  std::string StateDir() const { return dir_ + "/state"; }
  void PutInStateDir(const std::string& id) const {
    auto store = OpenSqliteStore(StateDir());
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)
                    ->Write([&](Transaction& transaction) {
                      transaction.PutContainer(Container(id));
                      transaction.Place(id, "host-1");
                      return absl::OkStatus();
                    })
                    .ok());
  }

  std::string dir_;
};

TEST_F(BackupTest, HoldsEverything) {
  const auto state = ReadBackup(*MakeBackup(Sample()));
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->epoch, 41u);
  EXPECT_EQ(state->revision, 7u);
  EXPECT_EQ(state->classes.Find("web")->value.allowed_hosts().hosts(0), "api.example.com");
  EXPECT_EQ(state->containers.Find("web-1")->revision, 5u);
  EXPECT_EQ(state->containers.size(), 2u);
  EXPECT_NE(state->handlers.Find("kv"), nullptr);
  EXPECT_EQ(state->secrets.Find("token")->sealed, "sealed");
  EXPECT_EQ(*state->placements.Find("web-1"), "host-7");
  EXPECT_EQ(state->StayOf("web-1"), Stay::kLasting);
  EXPECT_EQ(state->StayOf("web-2"), Stay::kEphemeral);
}

TEST_F(BackupTest, WhatIsNoBackupIsRefused) {
  EXPECT_NE(Refusal("").find("not an SQLite file"), std::string::npos);
  EXPECT_NE(Refusal(std::string(10'000, 'g')).find("not an SQLite file"), std::string::npos);
  std::string bytes = *MakeBackup(Sample());
  EXPECT_NE(Refusal(bytes.substr(0, bytes.size() - 4096)).find("no usable backup"),
            std::string::npos);
  bytes[18] = bytes[19] = 2;
  EXPECT_NE(Refusal(bytes).find("a copy of a store's own file"), std::string::npos);
}

// Every byte of the file, changed one at a time: it is refused, or holds what it did.
TEST_F(BackupTest, NoFlippedByteIsTakenForAnotherPolicy) {
  const std::string good = *MakeBackup(Sample());
  int refused = 0;
  for (size_t i = 0; i < good.size(); i += 7) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    const auto state = ReadBackup(bad);
    if (!state.ok()) {
      ++refused;
      continue;
    }
    ASSERT_EQ(state->classes.size(), 1u) << i;
    ASSERT_EQ(state->containers.size(), 2u) << i;
    ASSERT_EQ(state->handlers.size(), 1u) << i;
    ASSERT_EQ(state->classes.Find("web")->value.SerializeAsString(),
              Class("web").SerializeAsString())
        << i;
  }
  EXPECT_GT(refused, 50);
}

TEST_F(BackupTest, FileIsPrivateAndOverwrittenOnlyByForce) {
  ASSERT_TRUE(WriteBackupFile(File(), "one", Overwrite::kNo).ok());
  struct stat info = {};
  ASSERT_EQ(::stat(File().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const absl::Status refused = WriteBackupFile(File(), "two", Overwrite::kNo);
  EXPECT_TRUE(absl::IsAlreadyExists(refused)) << refused;
  EXPECT_EQ(*ReadBackupFile(File()), "one");
  ASSERT_TRUE(WriteBackupFile(File(), "two", Overwrite::kYes).ok());
  EXPECT_EQ(*ReadBackupFile(File()), "two");
  // Nothing else is left lying about.
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()), 1);
}

TEST_F(BackupTest, StateDirIsRestored) {
  PutInStateDir("other-1");
  const uint64_t epoch = ReadStateDir(StateDir())->epoch;
  const auto restored = RestoreStateDir(StateDir(), Sample());
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->revision, 8u);
  auto store = OpenSqliteStore(StateDir());
  ASSERT_TRUE(store.ok()) << store.status();
  const auto state = (*store)->Read();
  EXPECT_NE(state->epoch, epoch);
  EXPECT_NE(state->epoch, 41u);
  EXPECT_EQ(state->containers.Find("other-1"), nullptr);
  EXPECT_EQ(state->containers.Find("web-2")->revision, 8u);
  // Who is where is known better here than in the backup.
  EXPECT_EQ(*state->placements.Find("other-1"), "host-1");
  EXPECT_EQ(state->placements.Find("web-1"), nullptr);
  EXPECT_TRUE(fs::exists(StateDir() + "/controlplane.db.replaced"));
}

TEST_F(BackupTest, DamagedAndMissingStoresAreRestored) {
  PutInStateDir("other-1");
  fs::resize_file(StateDir() + "/controlplane.db", 5000);
  EXPECT_FALSE(OpenSqliteStore(StateDir()).ok());
  ASSERT_TRUE(RestoreStateDir(StateDir(), Sample()).ok());
  EXPECT_EQ((*OpenSqliteStore(StateDir()))->Read()->containers.size(), 2u);
  fs::remove_all(StateDir());
  ASSERT_TRUE(RestoreStateDir(StateDir(), Sample()).ok());
  EXPECT_EQ(*(*OpenSqliteStore(StateDir()))->Read()->placements.Find("web-1"), "host-7");
}

TEST_F(BackupTest, StateDirInUseIsLeftAlone) {
  PutInStateDir("other-1");
  const auto store = OpenSqliteStore(StateDir());
  const auto restored = RestoreStateDir(StateDir(), Sample());
  EXPECT_TRUE(absl::IsFailedPrecondition(restored.status()));
  EXPECT_NE(restored.status().message().find("--control-plane"), std::string::npos);
  EXPECT_FALSE(ReadStateDir(StateDir()).ok());
}

// As a kill at each step of the replacement leaves the files.
TEST_F(BackupTest, KilledReplacementIsCompletedByTheNextStart) {
  const std::string path = StateDir() + "/controlplane.db";
  for (int step = 0; step <= 2; ++step) {
    fs::remove_all(StateDir());
    PutInStateDir("other-1");
    std::error_code ignored;
    fs::copy_file(path, path + "-wal", ignored);  // An old log that must not be taken up.
    ASSERT_TRUE(CreateDatabase(path + ".restored", Sample()).ok());
    if (step >= 1) fs::rename(path + "-wal", path + ".replaced-wal");
    if (step >= 2) fs::rename(path, path + ".replaced");
    auto store = OpenSqliteStore(StateDir());
    ASSERT_TRUE(store.ok()) << step << store.status();
    EXPECT_EQ((*store)->Read()->containers.size(), 2u) << step;
    EXPECT_FALSE(fs::exists(path + ".restored"));
  }
  // Before it was whole: the old one.
  fs::remove_all(StateDir());
  PutInStateDir("other-1");
  fs::copy_file(path, path + ".restored.new");
  EXPECT_EQ((*OpenSqliteStore(StateDir()))->Read()->containers.size(), 1u);
}

}  // namespace
}  // namespace sallyport
