#include "agent/process_watcher.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/base/check.h"

namespace sallyport::agent {
namespace {

constexpr uint64_t kStopToken = ~uint64_t{0};

// EPOLLONESHOT: a process that has ended stays readable.
bool Add(const UniqueFd& epoll, const UniqueFd& fd, uint64_t token) {
  epoll_event event{.events = EPOLLIN | EPOLLONESHOT, .data = {.u64 = token}};
  return epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0;
}

}  // namespace

ProcessWatcher::ProcessWatcher(std::function<void(uint64_t token)> ended)
    : ended_(std::move(ended)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      stop_(eventfd(0, EFD_CLOEXEC)),
      thread_([this] { Run(); }) {
  SALLYPORT_CHECK(Add(epoll_, stop_, kStopToken));
}

ProcessWatcher::~ProcessWatcher() {
  const uint64_t one = 1;
  SALLYPORT_CHECK(write(stop_.get(), &one, sizeof(one)) == sizeof(one));
  thread_.join();
}

absl::Status ProcessWatcher::Watch(const UniqueFd& process, uint64_t token) {
  if (Add(epoll_, process, token)) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "the process cannot be watched");
}

void ProcessWatcher::Run() {
  for (;;) {
    epoll_event event;
    const int count = epoll_wait(epoll_.get(), &event, 1, -1);
    if (count < 1) continue;
    if (event.data.u64 == kStopToken) return;
    ended_(event.data.u64);
  }
}

}  // namespace sallyport::agent
