#include "controlplane/store/high_water_mark.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/strings.h"

namespace sallyport {
namespace {

constexpr uint64_t kMagic = 0x76657279'6c6c6173;  // "sallyrev".

struct Record {
  uint64_t magic;
  uint64_t epoch;
  uint64_t revision;
  uint64_t checksum;
};
static_assert(sizeof(Record) == 32);

Record MakeRecord(uint64_t epoch, uint64_t revision) {
  const uint64_t checksum = (epoch ^ (revision * 0x9e3779b97f4a7c15)) * 0xff51afd7ed558ccd + kMagic;
  return {kMagic, epoch, revision, checksum};
}

std::string Path(const std::string& database_path) { return database_path + "-revision"; }

}  // namespace

absl::StatusOr<HighWaterMark> HighWaterMark::Open(const std::string& database_path,
                                                  const State& loaded) {
  const std::string path = Path(database_path);
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) {
    return absl::UnavailableError(StrCat("cannot open ", path, ": ", strerror(errno)));
  }
  Record record = {};
  const bool whole = ::pread(file.get(), &record, sizeof(record), 0) == sizeof(record);
  const Record right = MakeRecord(record.epoch, record.revision);
  if (whole && std::memcmp(&record, &right, sizeof(record)) == 0) {
    if (record.epoch != loaded.epoch) {
      return absl::DataLossError("it is not the one that was here: its epoch is another");
    }
    if (record.revision > loaded.revision) {
      return absl::DataLossError(StrCat("it ends at revision ", loaded.revision,
                                        ", but changes up to revision ", record.revision,
                                        " were answered for: its log is damaged or missing"));
    }
  }
  HighWaterMark mark(std::move(file));
  mark.Set(loaded.epoch, loaded.revision);
  return mark;
}

void HighWaterMark::Remove(const std::string& database_path) {
  ::unlink(Path(database_path).c_str());
}

absl::Status HighWaterMark::Clear() {
  const Record nothing = {};
  const bool cleared = ::pwrite(file_.get(), &nothing, sizeof(nothing), 0) == sizeof(nothing) ||
                       ::ftruncate(file_.get(), 0) == 0;
  if (cleared && ::fdatasync(file_.get()) == 0) return absl::OkStatus();
  return absl::UnavailableError(StrCat("the mark beside the database cannot be cleared: ",
                                       strerror(errno), "; nothing was changed"));
}

void HighWaterMark::Set(uint64_t epoch, uint64_t revision) {
  const Record record = MakeRecord(epoch, revision);
  const ssize_t written = ::pwrite(file_.get(), &record, sizeof(record), 0);
  if (written != sizeof(record)) return;  // It says what it said, or nothing.
}

}  // namespace sallyport
