// Backups and restores hold whole stores in memory: few at a time.

#ifndef SALLYPORT_CONTROLPLANE_MAINTENANCE_SLOT_H_
#define SALLYPORT_CONTROLPLANE_MAINTENANCE_SLOT_H_

#include <grpcpp/support/status.h>

#include <atomic>
#include <utility>

namespace sallyport {

// Thread-safe.
class MaintenanceSlots {
 public:
  static constexpr int kSlots = 2;

  bool Take() {
    if (taken_.fetch_add(1) < kSlots) return true;
    GiveBack();
    return false;
  }
  void GiveBack() { taken_.fetch_sub(1); }

  static grpc::Status Busy() {
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                        "other backups or restores are under way; try again when they have ended");
  }

 private:
  std::atomic<int> taken_ = 0;
};

// One of them, until it is given back or this goes, if there was one.
class MaintenanceSlot {
 public:
  explicit MaintenanceSlot(MaintenanceSlots* slots) : slots_(slots->Take() ? slots : nullptr) {}
  ~MaintenanceSlot() { GiveBack(); }
  MaintenanceSlot(const MaintenanceSlot&) = delete;
  MaintenanceSlot& operator=(const MaintenanceSlot&) = delete;

  bool taken() const { return slots_ != nullptr; }
  void GiveBack() {
    if (slots_ != nullptr) std::exchange(slots_, nullptr)->GiveBack();
  }

 private:
  MaintenanceSlots* slots_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_MAINTENANCE_SLOT_H_
