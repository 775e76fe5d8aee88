#include "agent/proxy/tls/record_gather.h"

namespace sallyport::proxy {

std::string_view RecordGather::Next() {
  DropEmptyPieces();
  if (pieces_.empty()) return {};
  const std::string_view first = pieces_.front().substr(offset_, kMaxRecordPlaintext);
  offset_ += first.size();
  DropEmptyPieces();
  if (first.size() == kMaxRecordPlaintext || pieces_.empty()) return first;

  gathered_.assign(first);
  while (gathered_.size() < kMaxRecordPlaintext && !pieces_.empty()) {
    const std::string_view next =
        pieces_.front().substr(offset_, kMaxRecordPlaintext - gathered_.size());
    gathered_.append(next);
    offset_ += next.size();
    DropEmptyPieces();
  }
  return gathered_;
}

void RecordGather::DropEmptyPieces() {
  while (!pieces_.empty() && offset_ == pieces_.front().size()) {
    pieces_ = pieces_.subspan(1);
    offset_ = 0;
  }
}

}  // namespace sallyport::proxy
