#include "agent/proxy/http2_origins.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

using Clock = std::chrono::steady_clock;

// 20 MB/s over 50 ms.
constexpr uint32_t kMaxStreamWindow = 1024 * 1024;

// ALPN is TLS's, so the scheme need not be in it.
std::string MemoryKey(const OriginKey& key) { return StrCat(key.host.text(), " ", key.port); }

}  // namespace

Http2Origins::Http2Origins(boost::asio::io_context& context, HoldWindowMemory hold_memory)
    : context_(context),
      hold_memory_(std::move(hold_memory)),
      room_(std::make_shared<Event>(context)) {}

std::unique_ptr<OriginConnection> Http2Origins::Take(const OriginKey& key, Use use,
                                                     AddressCheck check) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  for (auto shared = found->second.rbegin(); shared != found->second.rend(); ++shared) {
    H2ClientConnection& connection = *shared->connection;
    if (!connection.takes_requests()) continue;
    if (use == Use::kWebSocket && !connection.takes_websockets()) continue;
    const AddressVerdict verdict = check(shared->address);
    const auto* may_dial = std::get_if<MayDial>(&verdict);
    if (may_dial == nullptr) {
      connection.Retire();
      continue;
    }
    shared->last_used = ++uses_;
    return std::make_unique<OriginConnection>(
        OriginConnection{connection.Open(), shared->address, true, may_dial->would_deny});
  }
  return nullptr;
}

void Http2Origins::Add(const OriginKey& key, std::unique_ptr<Stream> stream, IpAddress address) {
  MakeRoom();
  H2ClientConnection::Options options;
  options.scheme = key.tls ? "https" : "http";
  options.limits.max_stream_window = kMaxStreamWindow;
  options.hold_memory = hold_memory_;
  options.on_change = [room = room_] { room->Notify(); };
  by_key_[key].push_back(
      Shared{std::make_unique<H2ClientConnection>(context_, std::move(stream), std::move(options)),
             address, ++uses_});
}

void Http2Origins::MakeRoom() {
  size_t count = 0;
  const Shared* least_used = nullptr;
  const auto uses = [](const Shared& shared) {
    return std::pair(shared.connection->streams(), shared.last_used);
  };
  for (auto next = by_key_.begin(); next != by_key_.end();) {
    const auto entry = next++;
    std::erase_if(entry->second, [](const Shared& shared) { return shared.connection->ended(); });
    count += entry->second.size();
    for (const Shared& shared : entry->second) {
      if (!shared.connection->alive()) continue;
      if (least_used == nullptr || uses(shared) < uses(*least_used)) least_used = &shared;
    }
    if (entry->second.empty()) by_key_.erase(entry);
  }
  if (count >= kMaxConnections && least_used != nullptr) least_used->connection->Retire();
}

size_t Http2Origins::CountOf(const OriginKey& key) const {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return 0;
  return static_cast<size_t>(std::ranges::count_if(
      found->second, [](const Shared& shared) { return shared.connection->alive(); }));
}

void Http2Origins::Clear() {
  for (const auto& [key, all] : by_key_) {
    for (const Shared& shared : all) shared.connection->Close();
  }
  by_key_.clear();
}

void Http2Origins::Remember(const OriginKey& key, bool http2) {
  memory_.Set(MemoryKey(key), Memory{.http2 = http2, .until = Clock::now() + kMemory});
}

void Http2Origins::RequireHttp1(const OriginKey& key) {
  memory_.Set(MemoryKey(key), Memory{.requires_http1 = true, .until = Clock::now() + kMemory});
}

const Http2Origins::Memory* Http2Origins::Recall(const OriginKey& key) {
  const Memory* memory = memory_.Find(MemoryKey(key));
  return memory == nullptr || memory->until < Clock::now() ? nullptr : memory;
}

std::optional<bool> Http2Origins::SpeaksHttp2(const OriginKey& key) {
  const Memory* memory = Recall(key);
  if (memory == nullptr) return std::nullopt;
  return memory->http2;
}

bool Http2Origins::RequiresHttp1(const OriginKey& key) {
  const Memory* memory = Recall(key);
  return memory != nullptr && memory->requires_http1;
}

}  // namespace sallyport::proxy
