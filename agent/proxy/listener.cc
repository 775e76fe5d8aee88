#include "agent/proxy/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <variant>

#include "agent/proxy/connection.h"
#include "agent/proxy/connection_audit.h"
#include "agent/proxy/container.h"
#include "agent/proxy/worker.h"
#include "common/base/log.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstDescriptorPause{50};
constexpr milliseconds kLongestDescriptorPause{1000};
// What Turn::kAccept stands for.
constexpr int kAcceptsPerTurn = 8;

void ResetAndClose(UniqueFd socket) {
  const linger reset = {.l_onoff = 1, .l_linger = 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

bool IsReadable(int socket) {
  pollfd waiting{socket, POLLIN, 0};
  return poll(&waiting, 1, 0) > 0;
}

void AuditDelay(Container& container, Limit limit) {
  AuditRecord record = ConnectionRecord(container, Origin{}, "tcp");
  record.dialled.clear();
  record.decision = "delay";
  record.reason = "over_budget";
  record.detail = InfoOf(limit).name;
  container.Audit(record);
}

}  // namespace

Listener::Listener(boost::asio::io_context& context, UniqueFd socket,
                   std::shared_ptr<Container> container)
    : descriptor_(context.get_executor(), socket.Release()),
      pause_(context.get_executor()),
      container_(std::move(container)) {
  // Accepted ones have it from there: heads and bodies are gathered before they are written.
  const int on = 1;
  setsockopt(descriptor_.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void Listener::Start() { Spawn(container_->worker().io_context(), AcceptLoop(shared_from_this())); }

void Listener::Stop() {
  stopped_ = true;
  boost::system::error_code ignored;
  descriptor_.close(ignored);
  pause_.cancel();
}

Task<void> Listener::AcceptLoop(std::shared_ptr<Listener> self) {
  while (!self->stopped_) {
    const boost::system::error_code error = co_await self->descriptor_.async_wait(
        boost::asio::posix::descriptor_base::wait_read, kUseTask);
    if (error || self->stopped_) co_return;
    const std::shared_ptr<TurnShare> turns = self->container_->turns();
    if (!turns->TryTake(Turn::kAccept)) co_await turns->Wait(Turn::kAccept);
    if (self->stopped_) co_return;
    const milliseconds pause = self->AcceptWaiting();
    if (pause == milliseconds::zero()) continue;
    self->pause_.expires_after(pause);
    co_await self->pause_.async_wait(kUseTask);
  }
}

milliseconds Listener::AcceptWaiting() {
  Overload& overload = container_->worker().overload();
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    std::variant<ConnectionTokens, NotYet> admission = AdmitConnection(*container_);
    if (const auto* not_yet = std::get_if<NotYet>(&admission)) return PauseFor(*not_yet);
    waits_for_.reset();
    UniqueFd socket(
        ::accept4(descriptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.valid()) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        return PauseWithoutDescriptors();
      if (errno == ECONNABORTED || errno == EINTR) continue;
      return milliseconds::zero();
    }
    if (overload.IsReserved(socket.get())) {
      ResetAndClose(std::move(socket));
      return PauseWithoutDescriptors();
    }
    descriptor_pause_ = milliseconds::zero();
    TakeConnection(*container_);
    Spawn(container_->worker().io_context(),
          ServeConnection(container_, std::move(socket),
                          std::move(std::get<ConnectionTokens>(admission))));
  }
  return milliseconds::zero();
}

milliseconds Listener::PauseFor(const NotYet& not_yet) {
  if (!IsReadable(descriptor_.native_handle())) {
    waits_for_.reset();
    return milliseconds::zero();
  }
  const bool again = waits_for_.has_value() && waits_for_->limit == not_yet.limit;
  waits_for_ = not_yet;
  if (again) return not_yet.pause;
  if (!not_yet.limit.has_value()) {
    container_->worker().overload().CountPause();
  } else {
    container_->budget().CountExceeded(*not_yet.limit);
    AuditDelay(*container_, *not_yet.limit);
  }
  return not_yet.pause;
}

// Each listener finds out by itself, so that those of few connections are not held up for long by
// those of many.
milliseconds Listener::PauseWithoutDescriptors() {
  if (descriptor_pause_ == milliseconds::zero()) {
    container_->worker().overload().CountPause();
    LogWarning("container ", container_->id(),
               ": cannot accept, out of descriptors or memory; trying again");
  }
  descriptor_pause_ =
      std::clamp(descriptor_pause_ * 2, kFirstDescriptorPause, kLongestDescriptorPause);
  return descriptor_pause_;
}

}  // namespace sallyport::proxy
