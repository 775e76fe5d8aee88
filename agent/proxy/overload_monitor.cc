#include "agent/proxy/overload_monitor.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/proxy/free_memory.h"
#include "common/base/log.h"

namespace sallyport::proxy {
namespace {

constexpr std::chrono::milliseconds kInterval{200};
// Giving memory back holds up whoever allocates meanwhile.
constexpr int kLooksBetweenReturns = 5;

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
  ReturnFree();
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

void OverloadMonitor::ReturnFree() {
  if (looks_until_return_ > 0) {
    --looks_until_return_;
    return;
  }
  looks_until_return_ = kLooksBetweenReturns;
  if (overload_->shedding() == Shedding::kNothing) {
    ReturnLongFree();
  } else {
    ReturnAllFree();
  }
}

}  // namespace sallyport::proxy
