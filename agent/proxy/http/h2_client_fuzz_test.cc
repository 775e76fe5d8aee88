// An origin that sends these frames over a connection with a few requests, at once and in segments
// whose size the first byte tells. Frames of type kActType are none of them: they say what the
// client does in between. Every exchange, and the connection, ends once the origin has; what is
// read of an exchange is what its stream carried, and nothing is sent behind a stream's end.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/proxy/http/h2_client.h"
#include "agent/proxy/http/h2_client_fuzz_exchange.h"
#include "agent/proxy/testing/h2_frames.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"
#include "common/base/check.h"

using namespace sallyport::proxy;

namespace {

constexpr uint8_t kActType = 0xfe;
constexpr size_t kFrameHead = 9;
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t kGrowthBytes = 2048;

// One frame's head, and what is there of the rest.
struct Frame {
  explicit Frame(std::string_view bytes) {
    const auto at = [bytes](size_t i) {
      return static_cast<uint32_t>(static_cast<uint8_t>(bytes[i]));
    };
    length = at(0) << 16 | at(1) << 8 | at(2);
    type = static_cast<uint8_t>(at(3));
    flags = static_cast<uint8_t>(at(4));
    stream = (at(5) << 24 | at(6) << 16 | at(7) << 8 | at(8)) & 0x7fffffff;
    payload = bytes.substr(kFrameHead, length);
  }
  // Of DATA, without padding.
  std::string_view content() const {
    if ((flags & h2::kPadded) == 0) return payload;
    if (payload.empty()) return {};
    const size_t padding = static_cast<uint8_t>(payload[0]);
    if (1 + padding > length) return {};
    return payload.substr(1, length - 1 - padding);
  }

  size_t length;
  uint8_t type;
  uint8_t flags;
  uint32_t stream;
  std::string_view payload;
};

// What the origin has sent over a stream.
struct Sent {
  std::string body;
  bool ended = false;
};

class Client {
 public:
  explicit Client(size_t segment) {
    auto [owned, origin] = MemoryStream::MakePair(context_);
    stream_ = owned.get();
    origin_ = std::move(origin);
    stream_->set_faults({.max_read = segment, .capacity = 16 * 1024 * 1024});
    H2ClientConnection::Options options;
    options.limits = SmallLimits();
    options.timeouts = {kLong, kLong, kLong, kLong, kLong};
    options.hold_memory = [this](size_t bytes) { return Hold(bytes); };
    options.on_change = [lives = lives_] {};
    http_ = std::make_unique<H2ClientConnection>(context_, std::move(owned), std::move(options));
    // Without a request, it keeps the connection's stream.
    keeper_ = http_->Open();
  }

  void Receive(std::string_view bytes) {
    for (size_t next = 0; !bytes.empty(); bytes.remove_prefix(next)) {
      next = bytes.size();
      if (bytes.size() < kFrameHead) {
        Deliver(bytes);
        continue;
      }
      const Frame frame(bytes);
      next = kFrameHead + frame.payload.size();
      if (frame.type == kActType) {
        Do(static_cast<Act>(frame.flags % kActs), frame.stream);
      } else {
        Note(frame);
        Deliver(bytes.substr(0, next));
      }
    }
    Flush();
    stream_->ReceiveEnd();
    for (const auto& exchange : exchanges_) exchange->may_read.Notify();
    Run();
  }

  // Everything has ended.
  void Check() {
    for (const auto& exchange : exchanges_) SALLYPORT_CHECK(exchange->running == 0);
    SALLYPORT_CHECK(http_ == nullptr || http_->ended());
    CheckRead();
    CheckWritten();
  }
  // Nothing stays behind. `this` is of no use any more.
  void End() {
    for (const auto& exchange : exchanges_) exchange->http = nullptr;
    http_ = nullptr;
    keeper_ = nullptr;
    RunReady(context_);
    SALLYPORT_CHECK(lives_.use_count() == 1);
    SALLYPORT_CHECK(held_bytes_ == 0);
  }

  const std::vector<std::unique_ptr<FuzzExchange>>& exchanges() const { return exchanges_; }

 private:
  std::shared_ptr<void> Hold(size_t bytes) {
    if (held_bytes_ + bytes > kGrowthBytes) return nullptr;
    held_bytes_ += bytes;
    return std::shared_ptr<void>(nullptr, [this, bytes](void*) { held_bytes_ -= bytes; });
  }

  void Note(const Frame& frame) {
    Sent& sent = sent_[frame.stream];
    if (sent.ended) return;
    if (frame.type == h2::kData) sent.body += frame.content();
    const bool may_end = frame.type == h2::kData || frame.type == h2::kHeaders;
    sent.ended = may_end && (frame.flags & h2::kEndStream) != 0;
  }

  // What comes between two acts comes at once.
  void Deliver(std::string_view bytes) { undelivered_ += bytes; }
  void Flush() {
    stream_->Receive(undelivered_);
    undelivered_.clear();
    Run();
  }
  void Run() {
    RunReady(context_);
    for (const auto& exchange : exchanges_) SALLYPORT_CHECK(!exchange->must_not_wait);
    if (http_ == nullptr) return;
    SALLYPORT_CHECK(http_->streams() <= SmallLimits().streams);
    SALLYPORT_CHECK(!http_->alive() || was_alive_);
    SALLYPORT_CHECK(!http_->takes_requests() || http_->alive());
    SALLYPORT_CHECK(!http_->alive() || !http_->ended());
    was_alive_ = http_->alive();
  }

  void Do(Act act, uint32_t stream) {
    Flush();
    switch (act) {
      case Act::kRead:
        if (FuzzExchange* const exchange = Find(stream)) exchange->may_read.Notify();
        break;
      case Act::kGiveUp:
        GiveUp(Find(stream));
        break;
      case Act::kRetire:
        if (http_ != nullptr) http_->Retire();
        break;
      case Act::kClose:
        if (http_ != nullptr) http_->Close();
        break;
      case Act::kLetGo:
        http_ = nullptr;
        break;
      default:
        Ask(act);
        break;
    }
    Run();
  }

  void Ask(Act act) {
    if (http_ == nullptr) return;
    if (act == Act::kWebSocket && !http_->takes_websockets()) act = Act::kGet;
    FuzzExchange& exchange =
        *exchanges_.emplace_back(std::make_unique<FuzzExchange>(context_, act));
    exchange.http = http_->Open();
    const bool takes_it = http_->takes_requests();
    const absl::Status asked =
        RunTask(context_, exchange.http->WriteHead(exchange.request, "a.test"));
    SALLYPORT_CHECK(asked.ok() == takes_it);
    if (!takes_it) {
      exchanges_.pop_back();
      return;
    }
    exchange.stream = next_stream_;
    next_stream_ += 2;
    exchange.running = 1;
    Spawn(context_, ReadAnswer(&context_, &exchange));
    if (act == Act::kPut) {
      ++exchange.running;
      Spawn(context_, SendBody(&exchange));
    } else if (act != Act::kAskingPut) {
      exchange.given_all = act != Act::kWebSocket;
      RunTask(context_, exchange.http->FinishBody(Headers())).IgnoreError();
    }
  }

  void GiveUp(FuzzExchange* exchange) {
    if (exchange == nullptr || exchange->http == nullptr) return;
    const bool waits = exchange->running > 0 && exchange->act != Act::kLateGet;
    exchange->may_read.Notify();
    exchange->http->Abort();
    Run();
    SALLYPORT_CHECK(exchange->running == 0);
    exchange->http = nullptr;
    Run();
    exchange->given_up = waits && !exchange->whole && http_ != nullptr && http_->alive();
  }

  FuzzExchange* Find(uint32_t stream) {
    for (const auto& exchange : exchanges_)
      if (exchange->stream == stream) return exchange.get();
    return nullptr;
  }

  // Nothing of one exchange came out of another.
  void CheckRead() {
    for (const auto& exchange : exchanges_) {
      const Sent& sent = sent_[exchange->stream];
      SALLYPORT_CHECK(sent.body.starts_with(exchange->body));
      if (exchange->whole) SALLYPORT_CHECK(sent.ended && exchange->body == sent.body);
    }
  }

  void CheckWritten() {
    struct Written {
      std::string body;
      int heads = 0;
      bool ended = false;
      bool reset = false;
    };
    std::map<uint32_t, Written> streams;
    std::string_view bytes = stream_->written();
    SALLYPORT_CHECK(bytes.starts_with(kPreface));
    bytes.remove_prefix(kPreface.size());
    for (const h2::ReceivedFrame& frame : h2::FrameReader().Read(bytes)) {
      if (frame.stream == 0) continue;
      Written& written = streams[frame.stream];
      const bool message = frame.type == h2::kHeaders || frame.type == h2::kData;
      SALLYPORT_CHECK(!written.reset);
      SALLYPORT_CHECK(!message || !written.ended);
      SALLYPORT_CHECK(frame.type == h2::kHeaders || written.heads > 0);
      if (frame.type == h2::kHeaders) ++written.heads;
      if (frame.type == h2::kData) written.body += frame.payload;
      written.ended = written.ended || (message && frame.Has(h2::kEndStream));
      written.reset = frame.type == h2::kRstStream;
    }
    for (const auto& exchange : exchanges_) {
      const Written& written = streams[exchange->stream];
      SALLYPORT_CHECK(written.heads <= 2);
      SALLYPORT_CHECK(exchange->given.starts_with(written.body));
      if (written.ended) SALLYPORT_CHECK(exchange->given_all && written.body == exchange->given);
      if (exchange->given_up && written.heads > 0 &&
          !(written.ended && sent_[exchange->stream].ended))
        SALLYPORT_CHECK(written.reset);
      streams.erase(exchange->stream);
    }
    SALLYPORT_CHECK(streams.empty());
  }

  size_t held_bytes_ = 0;
  std::shared_ptr<int> lives_ = std::make_shared<int>();
  boost::asio::io_context context_{1};
  MemoryStream* stream_;
  std::unique_ptr<MemoryStream> origin_;
  std::unique_ptr<H2ClientConnection> http_;
  std::unique_ptr<ClientExchange> keeper_;
  std::vector<std::unique_ptr<FuzzExchange>> exchanges_;
  uint32_t next_stream_ = 1;
  std::string undelivered_;
  std::map<uint32_t, Sent> sent_;
  bool was_alive_ = true;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  Client at_once(Faults().max_read);
  Client in_pieces(1 + data[0]);
  for (Client* const client : {&at_once, &in_pieces}) {
    client->Receive(bytes);
    client->Check();
  }
  // How far a stream gets that breaks the rules, or is reset, is a matter of time.
  for (const auto& one : at_once.exchanges()) {
    for (const auto& other : in_pieces.exchanges()) {
      const bool same = one->stream == other->stream && one->act == other->act;
      if (same && one->whole && other->whole) SALLYPORT_CHECK(one->understood == other->understood);
    }
  }
  at_once.End();
  in_pieces.End();
  return 0;
}
