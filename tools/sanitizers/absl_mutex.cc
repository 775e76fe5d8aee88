// ThreadSanitizer does not see what happens inside Debian's libabsl_synchronization: a lock handed
// from one thread to the next looks like a race on everything that the lock protects, in gRPC's
// callbacks too. The functions here stand in front of the library's own, for every library of the
// process, and say which thread goes on from where another left off.
//
// They acquire and release only, so an inverted order of two absl::Mutex is not found.

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "tools/sanitizers/interpose.h"

extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
}

namespace absl {
ABSL_NAMESPACE_BEGIN
namespace {

using ::sallyport::sanitizers::Acquire;
using ::sallyport::sanitizers::Release;

// Whoever gives up a lock may evaluate the Condition of another thread that waits for it, which
// that thread's lock does not order: reads are not looked at meanwhile.
template <::sallyport::sanitizers::Symbol kSymbol, typename Result = void, typename... Args>
Result Real(Args... args) {
  struct IgnoreReads {
    IgnoreReads() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
    ~IgnoreReads() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
  } ignore;
  return ::sallyport::sanitizers::Real<kSymbol, Result>(args...);
}

}  // namespace

void Mutex::Lock() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Real<"_ZN4absl7debian35Mutex4LockEv">(this);
  Acquire(this);
}

void Mutex::ReaderLock() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Real<"_ZN4absl7debian35Mutex10ReaderLockEv">(this);
  Acquire(this);
}

bool Mutex::TryLock() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const bool done = Real<"_ZN4absl7debian35Mutex7TryLockEv", bool>(this);
  if (done) Acquire(this);
  return done;
}

bool Mutex::ReaderTryLock() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const bool done = Real<"_ZN4absl7debian35Mutex13ReaderTryLockEv", bool>(this);
  if (done) Acquire(this);
  return done;
}

void Mutex::Unlock() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Release(this);
  Real<"_ZN4absl7debian35Mutex6UnlockEv">(this);
}

void Mutex::ReaderUnlock() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Release(this);
  Real<"_ZN4absl7debian35Mutex12ReaderUnlockEv">(this);
}

void Mutex::LockWhen(const Condition& condition) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Real<"_ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE">(this, &condition);
  Acquire(this);
}

void Mutex::ReaderLockWhen(const Condition& condition) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Real<"_ZN4absl7debian35Mutex14ReaderLockWhenERKNS0_9ConditionE">(this, &condition);
  Acquire(this);
}

bool Mutex::LockWhenWithTimeout(const Condition& condition,
                                absl::Duration timeout) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const bool result =
      Real<"_ZN4absl7debian35Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE", bool>(
          this, &condition, timeout);
  Acquire(this);
  return result;
}

bool Mutex::ReaderLockWhenWithTimeout(const Condition& condition,
                                      absl::Duration timeout) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const bool result =
      Real<"_ZN4absl7debian35Mutex25ReaderLockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE",
           bool>(this, &condition, timeout);
  Acquire(this);
  return result;
}

bool Mutex::LockWhenWithDeadline(const Condition& condition,
                                 absl::Time deadline) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const bool result =
      Real<"_ZN4absl7debian35Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE", bool>(
          this, &condition, deadline);
  Acquire(this);
  return result;
}

bool Mutex::ReaderLockWhenWithDeadline(const Condition& condition,
                                       absl::Time deadline) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const bool result =
      Real<"_ZN4absl7debian35Mutex26ReaderLockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE", bool>(
          this, &condition, deadline);
  Acquire(this);
  return result;
}

void Mutex::Await(const Condition& condition) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Release(this);
  Real<"_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE">(this, &condition);
  Acquire(this);
}

bool Mutex::AwaitWithTimeout(const Condition& condition,
                             absl::Duration timeout) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Release(this);
  const bool result =
      Real<"_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE", bool>(
          this, &condition, timeout);
  Acquire(this);
  return result;
}

bool Mutex::AwaitWithDeadline(const Condition& condition,
                              absl::Time deadline) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Release(this);
  const bool result =
      Real<"_ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE", bool>(
          this, &condition, deadline);
  Acquire(this);
  return result;
}

void CondVar::Wait(Mutex* mutex) {
  Release(mutex);
  Real<"_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE">(this, mutex);
  Acquire(mutex);
}

bool CondVar::WaitWithTimeout(Mutex* mutex, absl::Duration timeout) {
  Release(mutex);
  const bool result =
      Real<"_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE", bool>(
          this, mutex, timeout);
  Acquire(mutex);
  return result;
}

bool CondVar::WaitWithDeadline(Mutex* mutex, absl::Time deadline) {
  Release(mutex);
  const bool result =
      Real<"_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE", bool>(this, mutex,
                                                                                      deadline);
  Acquire(mutex);
  return result;
}

void Notification::Notify() {
  Release(this);
  Real<"_ZN4absl7debian312Notification6NotifyEv">(this);
}

void Notification::WaitForNotification() const {
  Real<"_ZNK4absl7debian312Notification19WaitForNotificationEv">(this);
  Acquire(this);
}

bool Notification::WaitForNotificationWithTimeout(absl::Duration timeout) const {
  const bool done =
      Real<"_ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE", bool>(
          this, timeout);
  if (done) Acquire(this);
  return done;
}

bool Notification::WaitForNotificationWithDeadline(absl::Time deadline) const {
  const bool done =
      Real<"_ZNK4absl7debian312Notification31WaitForNotificationWithDeadlineENS0_4TimeE", bool>(
          this, deadline);
  if (done) Acquire(this);
  return done;
}

bool BlockingCounter::DecrementCount() {
  Release(this);
  return Real<"_ZN4absl7debian315BlockingCounter14DecrementCountEv", bool>(this);
}

void BlockingCounter::Wait() {
  Real<"_ZN4absl7debian315BlockingCounter4WaitEv">(this);
  Acquire(this);
}

ABSL_NAMESPACE_END
}  // namespace absl
