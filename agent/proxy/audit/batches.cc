#include "agent/proxy/audit/batches.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace sallyport::proxy {

boost::asio::execution_context::id AuditBatches::id;

AuditBatches::AuditBatches(boost::asio::execution_context& context)
    : service(context), context_(static_cast<boost::asio::io_context&>(context)) {}

void AuditBatches::Add(const std::shared_ptr<AuditSink>& sink, std::string_view line) {
  Batch& batch = BatchFor(sink);
  if (batch.lines.size() + line.size() > kMaxBytes && !batch.lines.empty()) {
    sink->Write(batch.lines);
    batch.lines.clear();
  }
  batch.lines.append(line);
}

AuditBatches::Batch& AuditBatches::BatchFor(const std::shared_ptr<AuditSink>& sink) {
  for (Batch& batch : batches_) {
    if (batch.sink == sink) return batch;
  }
  // Comes behind everything that is ready now.
  if (batches_.empty()) boost::asio::post(context_, [this] { Flush(); });
  Batch& batch = batches_.emplace_back(Batch{sink, {}});
  batch.lines.reserve(kMaxBytes);
  return batch;
}

void AuditBatches::Flush() {
  for (const Batch& batch : batches_) batch.sink->Write(batch.lines);
  batches_.clear();
}

void AuditBatches::shutdown() { Flush(); }

}  // namespace sallyport::proxy
