#include "cli/audit/follower.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "common/base/strings.h"

namespace sallyport::cli {

absl::StatusOr<FileFollower> FileFollower::Open(const std::string& path) {
  FileFollower follower(path);
  // The folder is watched, not the file: that is how a new file of the name is seen.
  std::string folder = std::filesystem::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  follower.inotify_.Reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!follower.inotify_.valid()) return absl::ErrnoToStatus(errno, "cannot watch files");
  if (inotify_add_watch(follower.inotify_.get(), folder.c_str(),
                        IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
    return absl::ErrnoToStatus(errno, StrCat("cannot watch the folder ", folder));
  }
  return follower;
}

std::vector<std::string> FileFollower::Read() {
  char events[4096];
  // Before the file is read: what is written in between announces itself again.
  while (read(inotify_.get(), events, sizeof(events)) > 0) {
  }
  std::vector<std::string> lines;
  if (file_.valid()) ReadOpen(&lines);
  Reopen();
  ReadOpen(&lines);
  return lines;
}

void FileFollower::Reopen() {
  struct stat there = {};
  const bool is_first = std::exchange(first_, false);
  if (stat(path_.c_str(), &there) != 0) return;
  if (file_.valid() && there.st_dev == device_ && there.st_ino == inode_) return;
  file_.Reset(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file_.valid() || fstat(file_.get(), &there) != 0) return;
  device_ = there.st_dev;
  inode_ = there.st_ino;
  partial_.clear();
  const int64_t size = there.st_size;
  offset_ = is_first ? std::max<int64_t>(0, size - kBacklogBytes) : 0;
  skip_to_newline_ = offset_ > 0;
}

void FileFollower::ReadOpen(std::vector<std::string>* lines) {
  if (!file_.valid()) return;
  struct stat now = {};
  if (fstat(file_.get(), &now) == 0 && now.st_size < offset_) {
    offset_ = 0;
    partial_.clear();
    skip_to_newline_ = false;
  }
  char buffer[65536];
  ssize_t count;
  while ((count = pread(file_.get(), buffer, sizeof(buffer), offset_)) > 0) {
    offset_ += count;
    partial_.append(buffer, static_cast<size_t>(count));
    size_t begin = 0;
    for (size_t end; (end = partial_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (!std::exchange(skip_to_newline_, false))
        lines->push_back(partial_.substr(begin, end - begin));
    }
    partial_.erase(0, begin);
    if (partial_.size() > static_cast<size_t>(kBacklogBytes)) {
      partial_.clear();
      skip_to_newline_ = true;
    }
  }
}

}  // namespace sallyport::cli
