// To be preloaded into sallyportd: while the file that SALLYPORT_DISK_FAULT names is there, what it
// says fails for the store's files. `sync`: fsync and fdatasync, with EIO. `sync-mark`: the same, for
// the mark of the revision alone. `write`: writing, with EROFS, as after a file system went
// read-only.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int is_faulty(const char* what, const char* of_file, int fd) {
  const char* path = getenv("SALLYPORT_DISK_FAULT");
  if (path == NULL) return 0;
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char fault[16] = {0};
  const ssize_t size = read(file, fault, sizeof(fault) - 1);
  close(file);
  if (size <= 0 || strcmp(fault, what) != 0) return 0;
  char link[64];
  char target[512] = {0};
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  return readlink(link, target, sizeof(target) - 1) > 0 &&
         strstr(target, of_file) != NULL;
}

static int is_sync_faulty(int fd) {
  return is_faulty("sync", "/controlplane.db", fd) ||
         is_faulty("sync-mark", "/controlplane.db-revision", fd);
}

int fsync(int fd) {
  if (is_sync_faulty(fd)) {
    errno = EIO;
    return -1;
  }
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd) {
  if (is_sync_faulty(fd)) {
    errno = EIO;
    return -1;
  }
  return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  if (is_faulty("write", "/controlplane.db", fd)) {
    errno = EROFS;
    return -1;
  }
  return ((ssize_t(*)(int, const void*, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64"))(
      fd, data, size, offset);
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  return pwrite64(fd, data, size, offset);
}
