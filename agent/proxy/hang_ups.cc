#include "agent/proxy/hang_ups.h"

#include <sys/epoll.h>

#include <array>
#include <utility>

namespace sallyport::proxy {
namespace {

constexpr int kEventsAtOnce = 64;

}  // namespace

boost::asio::execution_context::id HangUps::id;

HangUps::HangUps(boost::asio::execution_context& context)
    : service(context), epoll_(static_cast<boost::asio::io_context&>(context)) {
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return;
  boost::system::error_code error;
  epoll_.assign(fd, error);
}

HangUps::~HangUps() = default;

uint64_t HangUps::Watch(int fd, std::function<void(HangUp)> callback) {
  if (!epoll_.is_open()) return 0;
  const uint64_t id = ++last_id_;
  epoll_event event = {};
  event.events = EPOLLRDHUP | EPOLLET;
  event.data.u64 = id;
  if (epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &event) != 0) return 0;
  watched_.emplace(id, std::move(callback));
  if (!waiting_) Await();
  return id;
}

void HangUps::Forget(uint64_t id, int fd) {
  if (watched_.erase(id) == 0 || !epoll_.is_open()) return;
  epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, fd, nullptr);
  // An event loop without work ends.
  boost::system::error_code ignored;
  if (watched_.empty()) epoll_.cancel(ignored);
}

void HangUps::shutdown() {
  watched_.clear();
  boost::system::error_code ignored;
  epoll_.close(ignored);
}

void HangUps::Await() {
  waiting_ = true;
  epoll_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [this](const boost::system::error_code& error) {
                      waiting_ = false;
                      if (!error) Deliver();
                      if (!watched_.empty()) Await();
                    });
}

void HangUps::Deliver() {
  std::array<epoll_event, kEventsAtOnce> events;
  int count = 0;
  do {
    count = epoll_wait(epoll_.native_handle(), events.data(), kEventsAtOnce, 0);
    for (int i = 0; i < count; ++i) {
      // A copy: epoll_event is packed, and nothing may refer to its members.
      const epoll_event event = events[static_cast<size_t>(i)];
      const uint64_t id = event.data.u64;
      // One that was told may have had others forgotten.
      const auto found = watched_.find(id);
      if (found == watched_.end()) continue;
      const bool whole = (event.events & (EPOLLHUP | EPOLLERR)) != 0;
      const std::function<void(HangUp)> callback = found->second;
      callback(whole ? HangUp::kWhole : HangUp::kHalf);
    }
  } while (count == kEventsAtOnce);
}

}  // namespace sallyport::proxy
