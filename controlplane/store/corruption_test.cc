// A store whose files were damaged is refused, or holds exactly what it held: never another policy.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "common/base/strings.h"
#include "controlplane/store/sqlite_store.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kContainers = 60;

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void Overwrite(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

v1::ContainerPolicy Container(uint64_t n) {
  v1::ContainerPolicy policy;
  policy.set_container_id(StrCat("c-", n));
  policy.set_class_name("web");
  for (int i = 0; i < 10; ++i) {
    policy.mutable_denied_hosts()->add_added(StrCat("h", i, "-", n, ".example.com"));
  }
  return policy;
}

class CorruptionTest : public testing::Test {
 protected:
  // A database and a log, as a kill leaves them: the first half of the changes is in the one, the
  // rest in the other.
  CorruptionTest() {
    std::string name = StrCat(testing::TempDir(), "/corrupt.XXXXXX");
    dir_ = mkdtemp(name.data());
    Fill(1, kContainers / 2, &CloseCleanly);
    Fill(kContainers / 2 + 1, kContainers, &Die);
    fs::copy(State(), dir_ + "/good");
  }
  ~CorruptionTest() override { fs::remove_all(dir_); }

  std::string State() const { return dir_ + "/state"; }
  std::string Database() const { return State() + "/controlplane.db"; }
  std::string Log() const { return Database() + "-wal"; }

  static void CloseCleanly(std::unique_ptr<Store> store) { store.reset(); }
  [[noreturn]] static void Die(std::unique_ptr<Store> store) {
    store.release();
    _exit(0);
  }
  // In a child process.
  template <typename End>
  void Fill(uint64_t first, uint64_t last, End end) const {
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = OpenSqliteStore(State());
      if (!store.ok()) _exit(1);
      for (uint64_t n = first; n <= last; ++n) {
        const auto edit = [n](Transaction& transaction) {
          transaction.PutContainer(Container(n));
          return absl::OkStatus();
        };
        if (!(*store)->Write(edit).ok()) _exit(2);
      }
      end(*std::move(store));
      _exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  // From now on everything is in the database.
  void MoveLog() const {
    PutBack();
    OpenSqliteStore(State()).value().reset();
    ASSERT_FALSE(fs::exists(Log()));
    fs::remove_all(dir_ + "/good");
    fs::copy(State(), dir_ + "/good");
  }
  void PutBack() const {
    fs::remove_all(State());
    fs::copy(dir_ + "/good", State());
  }
  // "": it is as it was; else why it is refused. Anything else fails the test.
  std::string Open(const std::string& what) const {
    const std::string database = Contents(Database());
    const std::string log = Contents(Log());
    const auto store = OpenSqliteStore(State());
    if (!store.ok()) {
      EXPECT_EQ(Contents(Database()), database) << what;
      EXPECT_EQ(Contents(Log()), log) << what;
      EXPECT_NE(store.status().message().find("nothing was changed"), std::string::npos)
          << what << ": " << store.status();
      return std::string(store.status().message());
    }
    const auto state = (*store)->Read();
    EXPECT_GE(state->revision, kContainers) << what;
    EXPECT_EQ(state->containers.size(), kContainers) << what;
    for (uint64_t n = 1; n <= kContainers; ++n) {
      const auto record = state->containers.Find(StrCat("c-", n));
      EXPECT_TRUE(record != nullptr && record->revision == n &&
                  record->value.SerializeAsString() == Container(n).SerializeAsString())
          << what << ": c-" << n;
    }
    return "";
  }
  // Flips a bit in each of `count` random places of the file, one at a time. Returns how often that
  // was refused.
  int FlipBits(const std::string& path, int count) const {
    std::mt19937 random(20261128);
    int refused = 0;
    for (int i = 0; i < count; ++i) {
      PutBack();
      std::string bytes = Contents(path);
      const size_t at = random() % bytes.size();
      const int bit = static_cast<int>(random() % 8);
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      Overwrite(path, bytes);
      if (!Open(StrCat(path, " bit ", bit, " of byte ", at)).empty()) ++refused;
    }
    return refused;
  }

  std::string dir_;
};

TEST_F(CorruptionTest, UndamagedIsAsItWas) {
  PutBack();
  ASSERT_GT(fs::file_size(Log()), 100'000u);
  EXPECT_EQ(Open("undamaged"), "");
}

// With a log, whose pages cover most of those that are damaged, and without.
TEST_F(CorruptionTest, BitsOfTheDatabase) {
  FlipBits(Database(), 100);
  MoveLog();
  EXPECT_GT(FlipBits(Database(), 250), 50);
}

TEST_F(CorruptionTest, BitsOfTheLog) { EXPECT_GT(FlipBits(Log(), 250), 200); }

TEST_F(CorruptionTest, CutLog) {
  const uint64_t whole = fs::file_size(dir_ + "/good/controlplane.db-wal");
  for (uint64_t cut = 0; cut < whole; cut += 1 + whole / 97) {
    PutBack();
    fs::resize_file(Log(), cut);
    EXPECT_NE(Open(StrCat("log of ", cut, " bytes")), "") << cut;
  }
}

TEST_F(CorruptionTest, CutDatabase) {
  const uint64_t whole = fs::file_size(dir_ + "/good/controlplane.db");
  for (uint64_t cut = 0; cut < whole; cut += 1 + whole / 97) {
    PutBack();
    fs::remove(Log());
    fs::resize_file(Database(), cut);
    EXPECT_NE(Open(StrCat("database of ", cut, " bytes")), "") << cut;
  }
}

TEST_F(CorruptionTest, MissingLog) {
  PutBack();
  fs::remove(Log());
  EXPECT_NE(Open("no log").find("its log is damaged or missing"), std::string::npos);
}

TEST_F(CorruptionTest, GarbageForALog) {
  PutBack();
  Overwrite(Log(), std::string(50'000, 'g'));
  EXPECT_NE(Open("garbage"), "");
}

TEST_F(CorruptionTest, DamagedMarkSaysNothing) {
  for (const std::string& bytes : {std::string(), std::string(32, 'g'), std::string(7, 'g')}) {
    PutBack();
    Overwrite(Database() + "-revision", bytes);
    EXPECT_EQ(Open("mark"), "");
  }
}

}  // namespace
}  // namespace sallyport
