#include "agent/process_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace sallyport::agent {
namespace {

// True: the process has ended. False: the other end of `stop` was closed.
bool AwaitEnd(const UniqueFd& process, const UniqueFd& stop) {
  pollfd waits[2] = {{process.get(), POLLIN, 0}, {stop.get(), 0, 0}};
  while (poll(waits, 2, -1) < 0 && errno == EINTR) {
  }
  return waits[1].revents == 0 && (waits[0].revents & POLLIN) != 0;
}

}  // namespace

ProcessWatch::ProcessWatch(UniqueFd process, std::function<void()> ended) {
  int ends[2] = {-1, -1};
  // Without a pipe the watch cannot be called off, only its process can end.
  (void)!pipe2(ends, O_CLOEXEC);
  stop_.Reset(ends[1]);
  thread_ = std::thread(
      [](UniqueFd process, UniqueFd stop, std::function<void()> ended) {
        if (AwaitEnd(process, stop)) ended();
      },
      std::move(process), UniqueFd(ends[0]), std::move(ended));
}

ProcessWatch::~ProcessWatch() {
  stop_.Reset();
  if (thread_.get_id() == std::this_thread::get_id()) {
    thread_.detach();
  } else {
    thread_.join();
  }
}

}  // namespace sallyport::agent
