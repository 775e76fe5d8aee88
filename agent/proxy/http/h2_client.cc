#include "agent/proxy/http/h2_client.h"

#include <utility>

#include "agent/proxy/http/h2_client_exchange.h"
#include "agent/proxy/http/h2_client_state.h"

namespace sallyport::proxy {
namespace {

using State = H2ClientConnection::State;

Task<void> ReadLoop(std::shared_ptr<State> state) {
  while (!state->session->finished()) {
    const absl::Status read = co_await state->transport.ReadOnce();
    if (read.ok()) {
      ++state->reads;
    } else if (absl::IsDeadlineExceeded(read) && !state->session->finished()) {
      // Idle.
      state->session->Retire();
      state->transport.SayFarewell();
    } else {
      break;
    }
  }
}

Task<void> WriteLoop(std::shared_ptr<State> state) {
  co_await state->transport.WriteAll();
  state->ended = true;
  state->stream->Close(Stream::How::kGraceful);
  state->options.on_change();
}

}  // namespace

H2ClientConnection::H2ClientConnection(boost::asio::io_context& context,
                                       std::unique_ptr<Stream> stream, Options options)
    : state_(std::make_shared<State>(context, std::move(stream), std::move(options))) {
  Spawn(context, WriteLoop(state_));
  Spawn(context, ReadLoop(state_));
}

H2ClientConnection::~H2ClientConnection() { Retire(); }

std::unique_ptr<ClientExchange> H2ClientConnection::Open() {
  return std::make_unique<H2ClientExchange>(state_);
}

bool H2ClientConnection::takes_requests() const {
  return !state_->ended && state_->session->accepts_streams();
}

bool H2ClientConnection::takes_websockets() const {
  return state_->session->peer_takes_websockets();
}

bool H2ClientConnection::alive() const { return !state_->ended && state_->session->usable(); }

bool H2ClientConnection::ended() const { return state_->ended; }

size_t H2ClientConnection::streams() const { return state_->session->open_streams(); }

void H2ClientConnection::Retire() { state_->session->Retire(); }

void H2ClientConnection::Close() {
  state_->session->Fail(absl::CancelledError("the connection was closed here"));
  state_->stream->Close(Stream::How::kReset);
}

}  // namespace sallyport::proxy
