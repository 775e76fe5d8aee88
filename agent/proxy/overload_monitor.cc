#include "agent/proxy/overload_monitor.h"

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/log.h"

namespace sallyport::proxy {
namespace {

constexpr std::chrono::milliseconds kInterval{200};
// A trim holds up whoever allocates meanwhile.
constexpr int kLooksBetweenTrims = 10;
// Fewer connections hold too little to look for it.
constexpr int64_t kWorthTrimming = 100;

}  // namespace

OverloadMonitor::OverloadMonitor(std::shared_ptr<Overload> overload, MemoryUsage usage,
                                 uint64_t max_memory_bytes)
    : overload_(std::move(overload)),
      usage_(std::move(usage)),
      max_memory_bytes_(max_memory_bytes) {
  Look();
  thread_ = std::thread([this] { Run(); });
}

OverloadMonitor::~OverloadMonitor() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    stop_.Signal();
  }
  thread_.join();
}

void OverloadMonitor::Run() {
  MutexLock lock(&mutex_);
  while (!stopping_) {
    stop_.WaitUntil(&mutex_, std::chrono::steady_clock::now() + kInterval);
    if (!stopping_) Look();
  }
}

void OverloadMonitor::Look() {
  rlimit descriptors = {};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    overload_->SetDescriptorLimit(static_cast<int64_t>(
        std::min<rlim_t>(descriptors.rlim_cur, static_cast<rlim_t>(INT32_MAX))));
  }
  if (ShouldTrim()) {
    malloc_trim(0);
    most_connections_ = overload_->connections();
    looks_until_trim_ = kLooksBetweenTrims;
  }
  const MemoryUsage::Reading memory = usage_.Read(max_memory_bytes_);
  overload_->SetMemory(memory.used, memory.limit);
  const Shedding shedding = overload_->shedding();
  if (shedding == said_) return;
  said_ = shedding;
  if (shedding == Shedding::kNothing) {
    LogInfo("memory is no longer short");
  } else {
    LogWarning("memory is short: ", memory.used >> 20, " of ", memory.limit >> 20,
               " MiB are used; sheds ", SheddingName(shedding));
  }
}

bool OverloadMonitor::ShouldTrim() {
  const int64_t connections = overload_->connections();
  most_connections_ = std::max(most_connections_, connections);
  if (looks_until_trim_ > 0) {
    --looks_until_trim_;
    return false;
  }
  if (overload_->shedding() != Shedding::kNothing) return true;
  return most_connections_ >= kWorthTrimming && connections < most_connections_ / 2;
}

}  // namespace sallyport::proxy
