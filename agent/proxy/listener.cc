#include "agent/proxy/listener.h"

#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <cerrno>
#include <utility>

#include "agent/proxy/connection.h"
#include "agent/proxy/container.h"
#include "common/base/log.h"

namespace sallyport::proxy {
namespace {

constexpr std::chrono::milliseconds kOutOfDescriptorsPause{100};
constexpr int kAcceptsPerWake = 64;

void ResetAndClose(UniqueFd socket) {
  const linger reset = {.l_onoff = 1, .l_linger = 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

}  // namespace

Listener::Listener(boost::asio::io_context& context, UniqueFd socket,
                   std::shared_ptr<Container> container)
    : descriptor_(context.get_executor(), socket.Release()),
      pause_(context.get_executor()),
      container_(std::move(container)) {}

void Listener::Start() {
  boost::asio::co_spawn(descriptor_.get_executor(), AcceptLoop(shared_from_this()),
                        boost::asio::detached);
}

void Listener::Stop() {
  stopped_ = true;
  boost::system::error_code ignored;
  descriptor_.close(ignored);
  pause_.cancel();
}

Task<void> Listener::AcceptLoop(std::shared_ptr<Listener> self) {
  while (!self->stopped_) {
    boost::system::error_code error;
    co_await self->descriptor_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                                          boost::asio::redirect_error(kUseTask, error));
    if (error || self->stopped_) co_return;
    const bool descriptors_left = self->AcceptWaiting();
    if (descriptors_left) continue;
    self->pause_.expires_after(kOutOfDescriptorsPause);
    co_await self->pause_.async_wait(boost::asio::redirect_error(kUseTask, error));
  }
}

bool Listener::AcceptWaiting() {
  for (int i = 0; i < kAcceptsPerWake; ++i) {
    UniqueFd socket(
        ::accept4(descriptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.valid()) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        LogWarning("container ", container_->id(),
                   ": cannot accept, out of descriptors or memory; trying again");
        return false;
      }
      if (errno == ECONNABORTED || errno == EINTR) continue;
      return true;
    }
    if (container_->connection_count() >= kMaxConnections) {
      ResetAndClose(std::move(socket));
      continue;
    }
    boost::asio::co_spawn(descriptor_.get_executor(),
                          ServeConnection(container_, std::move(socket)), boost::asio::detached);
  }
  return true;
}

}  // namespace sallyport::proxy
