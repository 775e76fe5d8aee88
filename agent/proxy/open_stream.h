// A connection that ends when its container is detached.

#ifndef SALLYPORT_AGENT_PROXY_OPEN_STREAM_H_
#define SALLYPORT_AGENT_PROXY_OPEN_STREAM_H_

#include <utility>

#include "agent/proxy/container.h"
#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// While it lives. A change of policy closes no such connection: its next request obeys.
class OpenStream final : public ClosableConnection {
 public:
  // `stream` outlives this.
  OpenStream(ContainerPtr container, Stream* stream)
      : stream_(stream), registration_(std::move(container), this) {}
  void OnPolicyChange(const EffectivePolicy*) override {}
  void CloseNow() override { stream_->Close(Stream::How::kReset); }

 private:
  Stream* const stream_;
  const Container::Registration registration_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_OPEN_STREAM_H_
