// The process's table of descriptors.

#ifndef SALLYPORT_COMMON_BASE_DESCRIPTORS_H_
#define SALLYPORT_COMMON_BASE_DESCRIPTORS_H_

namespace sallyport {

// Makes the kernel's table as large as it will be: for 65,536 descriptors, or as many as the
// process may have. A table that is full is doubled, and unless the process has a single thread,
// whoever opens a descriptor then waits for an RCU grace period, tens of milliseconds. To be called
// before there is a second thread.
void ReserveDescriptors();

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BASE_DESCRIPTORS_H_
