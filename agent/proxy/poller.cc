#include "agent/proxy/poller.h"

#include <sys/epoll.h>

#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>

namespace sallyport::proxy {
namespace {

constexpr int kEventsAtOnce = 128;
// So many at once mean that more follow soon: the loop looks again in its next pass, which is
// cheaper than waiting for it.
constexpr int kBusy = 3;
// Of the table of clients: below it nothing is gained by making it smaller.
constexpr size_t kLargeCapacity = 1024;

}  // namespace

boost::asio::execution_context::id Poller::id;

Poller::Poller(boost::asio::execution_context& context)
    : service(context), context_(static_cast<boost::asio::io_context&>(context)), epoll_(context_) {
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) return;
  boost::system::error_code error;
  epoll_.assign(fd, error);
}

Poller::~Poller() = default;

uint64_t Poller::Add(int fd, Client* client) {
  if (!epoll_.is_open()) {
    errno = EMFILE;
    return 0;
  }
  const uint64_t id = ++last_id_;
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
  event.data.u64 = id;
  if (epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &event) != 0) return 0;
  clients_.emplace(id, client);
  return id;
}

// Closing a descriptor takes it out of the epoll.
void Poller::Remove(uint64_t id) {
  clients_.erase(id);
  // What a rush has made large does not stay so.
  if (clients_.capacity() > kLargeCapacity && clients_.size() < clients_.capacity() / 16)
    clients_.rehash(0);
}

void Poller::BeginWait() {
  if (++waits_ == 1 && !awaiting_) Await();
}

void Poller::EndWait() {
  boost::system::error_code ignored;
  if (--waits_ == 0 && awaiting_ && !delivering_ && epoll_.is_open()) epoll_.cancel(ignored);
}

void Poller::shutdown() {
  // What one gives up may own others, which are gone then.
  while (!clients_.empty()) {
    Client* const client = clients_.begin()->second;
    clients_.erase(clients_.begin());
    client->OnShutdown();
  }
  boost::system::error_code ignored;
  epoll_.close(ignored);
}

void Poller::Await() {
  awaiting_ = true;
  epoll_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                    [this](const boost::system::error_code&) { DeliverMore(); });
}

void Poller::DeliverMore() {
  delivering_ = true;
  const int told = Deliver();
  delivering_ = awaiting_ = false;
  const bool again = waits_ > 0 && told >= kBusy;
  // Behind everything that is ready now.
  boost::asio::post(context_, [this, again] {
    has_just_told_ = false;
    if (again) DeliverMore();
  });
  if (again) {
    awaiting_ = true;
  } else if (waits_ > 0) {
    Await();
  }
}

int Poller::Deliver() {
  int told = 0;
  std::array<epoll_event, kEventsAtOnce> events;
  // Once: whoever is always ready does not keep timers from their turn. What is left is told in the
  // next pass.
  const int count = epoll_wait(epoll_.native_handle(), events.data(), kEventsAtOnce, 0);
  has_just_told_ = count < kEventsAtOnce;
  for (int i = 0; i < count; ++i) {
    // A copy: epoll_event is packed, and nothing may refer to its members.
    const epoll_event event = events[static_cast<size_t>(i)];
    const uint64_t id = event.data.u64;
    const auto found = clients_.find(id);
    if (found != clients_.end()) found->second->NoteEvents(event.events);
  }
  for (int i = 0; i < count; ++i) {
    const epoll_event event = events[static_cast<size_t>(i)];
    const uint64_t id = event.data.u64;
    // One that was told may have had others removed.
    const auto found = clients_.find(id);
    if (found == clients_.end()) continue;
    found->second->OnEvents(event.events);
    ++told;
  }
  return count == kEventsAtOnce ? kBusy : told;
}

}  // namespace sallyport::proxy
