// Memory that the allocator holds and nobody uses.

#ifndef SALLYPORT_AGENT_PROXY_FREE_MEMORY_H_
#define SALLYPORT_AGENT_PROXY_FREE_MEMORY_H_

namespace sallyport::proxy {

// Gives back to the kernel what has been free for about a second. The allocator does so by itself,
// but only while somebody allocates: called now and then. Thread-safe.
void ReturnLongFree();

// The calling thread keeps nothing of what it freed for its own next allocations: those of a busy
// hour would stay for good.
void ReleaseThreadCache();

// Gives everything free back. Whoever allocates next has to ask the kernel again. Thread-safe.
void ReturnAllFree();

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_FREE_MEMORY_H_
