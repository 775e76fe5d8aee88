// The lines of one worker on their way to their sinks.

#ifndef SALLYPORT_AGENT_PROXY_AUDIT_BATCHES_H_
#define SALLYPORT_AGENT_PROXY_AUDIT_BATCHES_H_

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/proxy/audit/sink.h"

namespace sallyport::proxy {

// Of one io_context: boost::asio::use_service<AuditBatches>(context). What comes in one pass
// through the event loop for a sink is one write(2). The loop does not wait for anything while a
// line is held back, and its end writes what is. Belongs to the context's thread.
class AuditBatches final : public boost::asio::execution_context::service {
 public:
  using key_type = AuditBatches;
  static boost::asio::execution_context::id id;
  // What a FIFO takes whole (PIPE_BUF), so that the lines of several workers do not mix.
  static constexpr size_t kMaxBytes = 4096;

  explicit AuditBatches(boost::asio::execution_context& context);

  void Add(const std::shared_ptr<AuditSink>& sink, std::string_view line);

 private:
  struct Batch {
    std::shared_ptr<AuditSink> sink;
    std::string lines;
  };

  void shutdown() override;
  Batch& BatchFor(const std::shared_ptr<AuditSink>& sink);
  void Flush();

  boost::asio::io_context& context_;
  std::vector<Batch> batches_;  // Of this pass: a few.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_AUDIT_BATCHES_H_
