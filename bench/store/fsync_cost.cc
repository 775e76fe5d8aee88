// What durability costs on a disk, alone: a sync of 4 KiB appended, of 4 KiB overwritten, and a
// commit of one container and of 64 in the store.
//
//   bazel run -c opt //bench/store:fsync_cost -- DIR

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/store/percentiles.h"
#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"
#include "controlplane/store/sqlite_store.h"

namespace sallyport {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 1000;
// A Tidy that takes longer has moved the log.
constexpr std::chrono::microseconds kMoved(200);

void MeasureSync(const char* name, const std::string& path, bool append) {
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  SALLYPORT_CHECK(file.valid());
  const std::string block(4096, 'b');
  Latencies latencies;
  for (int i = 0; i < kRounds; ++i) {
    const auto begin = Clock::now();
    const off_t at = append ? off_t{i} * 4096 : 0;
    SALLYPORT_CHECK(::pwrite(file.get(), block.data(), block.size(), at) == 4096);
    SALLYPORT_CHECK(::fdatasync(file.get()) == 0);
    latencies.push_back(Clock::now() - begin);
  }
  PrintPercentiles(name, std::move(latencies));
}

void MeasureCommit(const char* name, Store* store, int edits, Latencies* moves) {
  Latencies latencies;
  for (int i = 0; i < kRounds; ++i) {
    std::vector<Store::Edit> batch;
    for (int edit = 0; edit < edits; ++edit) {
      batch.emplace_back([i, edit](Transaction& transaction) {
        v1::ContainerPolicy policy;
        policy.set_container_id(StrCat("c-", (i * 64 + edit) % 1000));
        policy.set_class_name("web");
        policy.mutable_denied_hosts()->add_added(StrCat("h", i, ".example.com"));
        transaction.PutContainer(policy);
        return absl::OkStatus();
      });
    }
    const auto begin = Clock::now();
    for (const Store::Written& written : store->WriteAll(batch)) SALLYPORT_CHECK(written.ok());
    const auto committed = Clock::now();
    latencies.push_back(committed - begin);
    store->Tidy();
    const auto tidied = Clock::now() - committed;
    if (tidied > kMoved) moves->push_back(tidied);
  }
  PrintPercentiles(name, std::move(latencies));
}

void Main(const std::string& parent) {
  std::string dir = parent + "/fsync_cost.XXXXXX";
  SALLYPORT_CHECK(mkdtemp(dir.data()) != nullptr);
  MeasureSync("4 KiB appended, fdatasync", dir + "/append", true);
  MeasureSync("4 KiB overwritten, fdatasync", dir + "/overwrite", false);
  {
    auto store = OpenSqliteStore(dir + "/state");
    SALLYPORT_CHECK(store.ok());
    Latencies moves;
    MeasureCommit("store: commit of 1 container", store->get(), 1, &moves);
    MeasureCommit("store: commit of 64 containers", store->get(), 64, &moves);
    if (!moves.empty()) PrintPercentiles("store: log moved, between commits", std::move(moves));
    std::printf("log after %d commits: %ju bytes\n", 2 * kRounds,
                std::filesystem::file_size(dir + "/state/controlplane.db-wal"));
  }
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace sallyport

int main(int argc, char** argv) { sallyport::Main(argc > 1 ? argv[1] : "."); }
