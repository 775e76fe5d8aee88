#include "controlplane/store/sqlite_store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/base/strings.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;

class SqliteStoreTest : public testing::Test {
 protected:
  SqliteStoreTest() {
    std::string name = StrCat(testing::TempDir(), "/store.XXXXXX");
    parent_ = mkdtemp(name.data());
    dir_ = parent_ + "/state";
  }
  ~SqliteStoreTest() override { fs::remove_all(parent_); }

  std::string Database() const { return dir_ + "/controlplane.db"; }
  static absl::Status Put(Store* store, const std::string& id, const std::string& body = "") {
    return store
        ->Write([&](Transaction& transaction) {
          v1::ContainerPolicy policy;
          policy.set_container_id(id);
          policy.set_class_name("web");
          if (!body.empty()) policy.mutable_allowed_hosts()->add_added(body);
          transaction.PutContainer(policy);
          return absl::OkStatus();
        })
        .status();
  }
  // So many requests more, in one transaction: "r-NUMBER", answered 1000 + NUMBER.
  static absl::Status Remember(Store* store, uint64_t count) {
    return store
        ->Write([&](Transaction& transaction) {
          for (uint64_t left = count; left > 0; --left) {
            const uint64_t number = transaction.state().last_request + 1;
            transaction.Remember(StrCat("r-", number), StrCat("f", number), 1000 + number);
          }
          return absl::OkStatus();
        })
        .status();
  }
  // Makes a store with one container in it and closes it.
  void MakeOne() { ASSERT_TRUE(Put(OpenSqliteStore(dir_)->get(), "web-1").ok()); }

  void Sql(const std::string& sql) const {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open(Database().c_str(), &handle), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(handle);
  }
  // What opening says, after which the file must be as before.
  std::string RefusalLeavingFileAlone() const {
    const std::string before = Contents();
    const auto store = OpenSqliteStore(dir_);
    EXPECT_FALSE(store.ok());
    EXPECT_EQ(Contents(), before);
    return std::string(store.status().message());
  }
  std::string Contents() const {
    std::ifstream file(Database(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  std::string parent_;
  std::string dir_;
};

TEST_F(SqliteStoreTest, StateSurvivesReopening) {
  uint64_t epoch = 0;
  {
    auto store = *OpenSqliteStore(dir_);
    epoch = store->Read()->epoch;
    EXPECT_NE(epoch, 0u);
    ASSERT_TRUE(store
                    ->Write([](Transaction& transaction) {
                      v1::ContainerClass web;
                      web.set_name("web");
                      transaction.PutClass(web);
                      v1::Handler handler;
                      handler.set_name("kv");
                      return transaction.PutHandler(handler);
                    })
                    .ok());
    ASSERT_TRUE(Put(store.get(), "web-1").ok());
    ASSERT_TRUE(Put(store.get(), "web-2").ok());
    ASSERT_TRUE(store
                    ->Write([](Transaction& transaction) {
                      transaction.DeleteContainer("web-2");
                      transaction.Place("web-1", "host-7");
                      return absl::OkStatus();
                    })
                    .ok());
  }
  const auto state = (*OpenSqliteStore(dir_))->Read();
  EXPECT_EQ(state->epoch, epoch);
  EXPECT_EQ(state->revision, 4u);
  EXPECT_EQ(state->classes.Find("web")->revision, 1u);
  EXPECT_EQ(state->handlers.Find("kv")->revision, 1u);
  EXPECT_EQ(state->containers.Find("web-1")->revision, 2u);
  EXPECT_EQ(state->containers.Find("web-2"), nullptr);
  EXPECT_EQ(*state->placements.Find("web-1"), "host-7");
  EXPECT_EQ(state->hosts.Find("host-7")->count("web-1"), 1u);
}

TEST_F(SqliteStoreTest, DirectoryIsPrivate) {
  MakeOne();
  struct stat info = {};
  ASSERT_EQ(::stat(dir_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(SqliteStoreTest, TwoOnOneDirectory) {
  const auto first = OpenSqliteStore(dir_);
  ASSERT_TRUE(first.ok());
  const auto second = OpenSqliteStore(dir_);
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status()));
  EXPECT_NE(second.status().message().find("another sallyportd"), std::string::npos);
}

TEST_F(SqliteStoreTest, DiskFullChangesNothingAndPasses) {
  auto store = *OpenSqliteStoreOfAtMost(dir_, 30);
  ASSERT_TRUE(Put(store.get(), "web-1").ok());
  const absl::Status full = Put(store.get(), "web-2", std::string(400'000, 'x'));
  EXPECT_TRUE(absl::IsUnavailable(full));
  EXPECT_NE(full.message().find("disk is full"), std::string::npos) << full;
  EXPECT_EQ(store->Read()->revision, 1u);
  EXPECT_EQ(store->Read()->containers.Find("web-2"), nullptr);
  EXPECT_TRUE(Put(store.get(), "web-3").ok());
}

TEST_F(SqliteStoreTest, DatabaseDeletedWhileOpen) {
  auto store = *OpenSqliteStore(dir_);
  fs::remove(Database());
  const absl::Status status = Put(store.get(), "web-1");
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_NE(status.message().find("moved or deleted"), std::string::npos);
}

TEST_F(SqliteStoreTest, KillWhileMakingIsNoObstacle) {
  fs::create_directory(dir_);
  std::ofstream(Database() + ".new") << "half";
  EXPECT_TRUE(OpenSqliteStore(dir_).ok());
}

TEST_F(SqliteStoreTest, EmptyFileIsRefused) {
  fs::create_directory(dir_);
  std::ofstream(Database()).flush();
  EXPECT_NE(RefusalLeavingFileAlone().find("it is empty"), std::string::npos);
}

TEST_F(SqliteStoreTest, GarbageIsRefused) {
  fs::create_directory(dir_);
  std::ofstream(Database()) << std::string(10'000, 'g');
  EXPECT_NE(RefusalLeavingFileAlone().find("restore it with `sallyportd restore"),
            std::string::npos);
}

TEST_F(SqliteStoreTest, TruncatedIsRefused) {
  MakeOne();
  fs::resize_file(Database(), 6000);
  EXPECT_NE(RefusalLeavingFileAlone().find("restore it with `sallyportd restore"),
            std::string::npos);
}

TEST_F(SqliteStoreTest, ForeignDatabaseIsRefused) {
  fs::create_directory(dir_);
  Sql("CREATE TABLE bookmarks (url TEXT)");
  EXPECT_NE(RefusalLeavingFileAlone().find("is not a Sallyport database"), std::string::npos);
}

TEST_F(SqliteStoreTest, NewerSchemaIsRefused) {
  MakeOne();
  Sql("UPDATE meta SET value = 99 WHERE key = 'schema_version'; PRAGMA wal_checkpoint(TRUNCATE)");
  EXPECT_NE(RefusalLeavingFileAlone().find("start the sallyportd that wrote it"),
            std::string::npos);
}

TEST_F(SqliteStoreTest, ChangedPolicyIsRefused) {
  MakeOne();
  Sql("UPDATE containers SET value = replace(value, 'web', 'wob')");
  EXPECT_NE(RefusalLeavingFileAlone().find("is not as written"), std::string::npos);
}

TEST_F(SqliteStoreTest, FirstSchemaIsBroughtToThePresentOne) {
  MakeOne();
  const uint64_t epoch = (*OpenSqliteStore(dir_))->Read()->epoch;
  Sql("DROP TABLE requests; DROP TABLE secrets; DROP TABLE identity_keys; "
      "UPDATE meta SET value = 1 WHERE key = 'schema_version'");
  {
    auto store = OpenSqliteStore(dir_);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ((*store)->Read()->epoch, epoch);
    EXPECT_EQ((*store)->Read()->containers.Find("web-1")->revision, 1u);
    ASSERT_TRUE(Remember(store->get(), 1).ok());
  }
  const auto state = (*OpenSqliteStore(dir_))->Read();
  EXPECT_EQ(state->revision, 1u);
  EXPECT_NE(state->requests.Find("r-1"), nullptr);
}

TEST_F(SqliteStoreTest, SecondSchemaIsBroughtToThePresentOne) {
  MakeOne();
  ASSERT_TRUE(Remember(OpenSqliteStore(dir_)->get(), 1).ok());
  Sql("DROP TABLE secrets; DROP TABLE identity_keys; "
      "UPDATE meta SET value = 2 WHERE key = 'schema_version'");
  auto store = OpenSqliteStore(dir_);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_NE((*store)->Read()->requests.Find("r-1"), nullptr);
  EXPECT_EQ((*store)->Read()->secrets.size(), 0u);
}

TEST_F(SqliteStoreTest, SecretsAreKeptAsTheyAreSealed) {
  const auto write = [&](const auto& edit) {
    const auto store = OpenSqliteStore(dir_);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)
                    ->Write([&](Transaction& transaction) {
                      edit(transaction);
                      return absl::OkStatus();
                    })
                    .ok());
  };
  write([](Transaction& transaction) {
    transaction.PutSecret("github", std::string("\x01\0\xff", 3));
    transaction.PutSecret("gone", "x");
  });
  write([](Transaction& transaction) { transaction.DeleteSecret("gone"); });
  const auto state = (*OpenSqliteStore(dir_))->Read();
  EXPECT_EQ(state->revision, 2u);
  EXPECT_EQ(state->secrets.size(), 1u);
  ASSERT_NE(state->secrets.Find("github"), nullptr);
  EXPECT_EQ(state->secrets.Find("github")->sealed, std::string("\x01\0\xff", 3));
  EXPECT_EQ(state->secrets.Find("github")->revision, 1u);
}

TEST_F(SqliteStoreTest, ThirdSchemaIsBroughtToThePresentOne) {
  MakeOne();
  Sql("DROP TABLE identity_keys; UPDATE meta SET value = 3 WHERE key = 'schema_version'");
  auto store = OpenSqliteStore(dir_);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_NE((*store)->Read()->containers.Find("web-1"), nullptr);
  EXPECT_EQ((*store)->Read()->identity_keys.size(), 0u);
}

TEST_F(SqliteStoreTest, FourthSchemaIsBroughtToThePresentOne) {
  MakeOne();
  Sql("UPDATE meta SET value = 4 WHERE key = 'schema_version'");
  auto store = OpenSqliteStore(dir_);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_NE((*store)->Read()->containers.Find("web-1"), nullptr);
}

TEST_F(SqliteStoreTest, WhatBecomesOfARecordIsKeptWithItsPlacement) {
  {
    const auto store = OpenSqliteStore(dir_);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)
                    ->Write([](Transaction& transaction) {
                      transaction.Place("web-1", "host-7", Stay::kEphemeral);
                      transaction.Place("web-2", "host-7", Stay::kLasting);
                      transaction.Place("web-3", "host-7", Stay::kEphemeral);
                      transaction.Place("web-3", "host-7", Stay::kLasting);
                      transaction.Place("web-4", "host-7", Stay::kEphemeral);
                      transaction.Unplace("web-4");
                      return absl::OkStatus();
                    })
                    .ok());
  }
  const auto state = (*OpenSqliteStore(dir_))->Read();
  EXPECT_EQ(*state->placements.Find("web-1"), "host-7");
  EXPECT_EQ(state->hosts.Find("host-7")->size(), 3u);
  EXPECT_EQ(state->StayOf("web-1"), Stay::kEphemeral);
  for (const char* id : {"web-2", "web-3", "web-4"}) EXPECT_EQ(state->StayOf(id), Stay::kLasting);
}

TEST_F(SqliteStoreTest, IdentityKeysAreKeptAndTakeNoRevision) {
  {
    const auto store = OpenSqliteStore(dir_);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)
                    ->Write([](Transaction& transaction) {
                      transaction.PutIdentityKeys("host-7", std::string("\x01\0\xff", 3));
                      transaction.PutIdentityKeys("gone", "x");
                      return absl::OkStatus();
                    })
                    .ok());
    ASSERT_TRUE((*store)
                    ->Write([](Transaction& transaction) {
                      transaction.DeleteIdentityKeys("gone");
                      return absl::OkStatus();
                    })
                    .ok());
  }
  const auto state = (*OpenSqliteStore(dir_))->Read();
  EXPECT_EQ(state->revision, 0u);
  EXPECT_EQ(state->identity_keys.size(), 1u);
  ASSERT_NE(state->identity_keys.Find("host-7"), nullptr);
  EXPECT_EQ(*state->identity_keys.Find("host-7"), std::string("\x01\0\xff", 3));
}

TEST_F(SqliteStoreTest, DamagedDatabaseOfTheFirstSchemaIsLeftAlone) {
  MakeOne();
  Sql("DROP TABLE requests; DROP TABLE secrets; DROP TABLE identity_keys; "
      "UPDATE meta SET value = 1 WHERE key = 'schema_version';"
      "UPDATE containers SET value = replace(value, 'web', 'wob')");
  EXPECT_NE(RefusalLeavingFileAlone().find("is not as written"), std::string::npos);
}

TEST_F(SqliteStoreTest, NewestRequestsAreRemembered) {
  ASSERT_TRUE(Remember(OpenSqliteStore(dir_)->get(), kMaxRequests + 2).ok());
  auto store = *OpenSqliteStore(dir_);
  auto state = store->Read();
  EXPECT_EQ(state->revision, 0u) << "remembering takes no revision";
  EXPECT_EQ(state->requests.size(), kMaxRequests);
  EXPECT_EQ(state->requests.Find("r-2"), nullptr);
  const auto record = state->requests.Find("r-3");
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->revision, 1003u);
  EXPECT_EQ(record->fingerprint, "f3");

  ASSERT_TRUE(Remember(store.get(), 1).ok());
  state = store->Read();
  EXPECT_EQ(state->requests.Find("r-3"), nullptr) << "the oldest makes room, also after a restart";
  EXPECT_NE(state->requests.Find("r-4"), nullptr);
  EXPECT_EQ(state->last_request, kMaxRequests + 3);
}

TEST_F(SqliteStoreTest, ChangedRequestIsRefused) {
  ASSERT_TRUE(Remember(OpenSqliteStore(dir_)->get(), 1).ok());
  Sql("UPDATE requests SET value = '1 1002 f1'");
  EXPECT_NE(RefusalLeavingFileAlone().find("is not as written"), std::string::npos);
}

TEST_F(SqliteStoreTest, LogWithoutDatabaseIsRefused) {
  fs::create_directory(dir_);
  std::ofstream(Database() + "-wal") << "log";
  EXPECT_NE(RefusalLeavingFileAlone().find("is missing, but its log"), std::string::npos);
}

}  // namespace
}  // namespace sallyport
