#include "agent/proxy/memory_usage.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

constexpr char kCgroups[] = "/sys/fs/cgroup";
// How cgroup v1 says that there is no limit: the largest number of whole pages.
constexpr uint64_t kNoLimit = uint64_t{1} << 60;

UniqueFd OpenFile(const std::string& path) {
  return UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

// From its beginning; empty if it cannot be read.
std::string ReadFile(const UniqueFd& file) {
  std::array<char, 8192> buffer;
  const ssize_t count = pread(file.get(), buffer.data(), buffer.size(), 0);
  return count > 0 ? std::string(buffer.data(), static_cast<size_t>(count)) : std::string();
}

// 0 if it is none, such as "max".
uint64_t NumberIn(std::string_view text) {
  uint64_t number = 0;
  return absl::SimpleAtoi(ToAbsl(text), &number) ? number : 0;
}

// The values of these lines of a memory.stat, added.
uint64_t SumOf(const std::string& stat, const std::vector<std::string_view>& names) {
  uint64_t sum = 0;
  for (const absl::string_view line : absl::StrSplit(stat, '\n')) {
    const std::pair<absl::string_view, absl::string_view> entry = absl::StrSplit(line, ' ');
    if (std::find(names.begin(), names.end(), ToStd(entry.first)) != names.end())
      sum += NumberIn(ToStd(entry.second));
  }
  return sum;
}

// Where the cgroup of this process is among those of a hierarchy: cgroups(7), /proc/PID/cgroup.
std::string CgroupPath(std::string_view controllers) {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() == 3 && fields[1] == controllers) return fields[2] == "/" ? "" : fields[2];
  }
  return "";
}

}  // namespace

MemoryUsage MemoryUsage::Open() {
  MemoryUsage usage;
  usage.statm_ = OpenFile("/proc/self/statm");
  // Seen from a cgroup namespace, a path of the host leads nowhere and the root is one's own.
  for (const std::string& path : {CgroupPath(""), std::string()}) {
    const std::string folder = StrCat(kCgroups, path);
    Cgroup cgroup{OpenFile(folder + "/memory.max"), OpenFile(folder + "/memory.current"),
                  OpenFile(folder + "/memory.stat"), true};
    if (!usage.cgroup_.limit.valid() && cgroup.limit.valid()) usage.cgroup_ = std::move(cgroup);
  }
  for (const std::string& path : {CgroupPath("memory"), std::string()}) {
    const std::string folder = StrCat(kCgroups, "/memory", path);
    Cgroup cgroup{OpenFile(folder + "/memory.limit_in_bytes"),
                  OpenFile(folder + "/memory.usage_in_bytes"), OpenFile(folder + "/memory.stat"),
                  false};
    if (!usage.cgroup_.limit.valid() && cgroup.limit.valid()) usage.cgroup_ = std::move(cgroup);
  }
  return usage;
}

MemoryUsage::Reading MemoryUsage::ReadCgroup() const {
  const uint64_t limit = NumberIn(ReadFile(cgroup_.limit));
  if (limit == 0 || limit >= kNoLimit) return {};
  const uint64_t current = NumberIn(ReadFile(cgroup_.current));
  const uint64_t files =
      cgroup_.v2 ? SumOf(ReadFile(cgroup_.stat), {"inactive_file", "active_file"})
                 : SumOf(ReadFile(cgroup_.stat), {"total_inactive_file", "total_active_file"});
  return {current - std::min(current, files), limit};
}

MemoryUsage::Reading MemoryUsage::Read(uint64_t max_bytes) const {
  // Pages: size, resident, shared, …
  const std::vector<std::string> pages = absl::StrSplit(ReadFile(statm_), ' ');
  Reading process{0, max_bytes};
  if (pages.size() > 2) {
    const uint64_t own = NumberIn(pages[1]) - std::min(NumberIn(pages[1]), NumberIn(pages[2]));
    process.used = own * static_cast<uint64_t>(getpagesize());
  }
  const Reading cgroup = ReadCgroup();
  if (cgroup.limit == 0) return process;
  if (max_bytes == 0) return cgroup;
  const double process_share = static_cast<double>(process.used) / static_cast<double>(max_bytes);
  const double cgroup_share = static_cast<double>(cgroup.used) / static_cast<double>(cgroup.limit);
  return process_share > cgroup_share ? process : cgroup;
}

}  // namespace sallyport::proxy
