/* Preloaded into a node: its wall clock is wrong by as many milliseconds as the file in TRIREME_SHIM_CLOCK says, a
   big-endian 64-bit number. The monotonic clock is left alone. While a file of that name and ".no-sync" is there, no sync
   of a file succeeds. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t *shift;
static char no_sync[4096];

__attribute__((constructor)) static void map_shift(void) {
    const char *path = getenv("TRIREME_SHIM_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (path)
        snprintf(no_sync, sizeof no_sync, "%s.no-sync", path);
    if (file < 0)
        return;
    void *page = mmap(0, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED)
        shift = page;
    close(file);
}

int clock_gettime(clockid_t id, struct timespec *at) {
    int failed = syscall(SYS_clock_gettime, id, at);
    if (!failed && shift && id == CLOCK_REALTIME) {
        int64_t ms = (int64_t)__builtin_bswap64(*shift);
        int64_t ns = at->tv_nsec + ms % 1000 * 1000000;
        at->tv_sec += ms / 1000 + (ns >= 1000000000) - (ns < 0);
        at->tv_nsec = ns + (ns < 0 ? 1000000000 : ns >= 1000000000 ? -1000000000 : 0);
    }
    return failed;
}

static int sync_with(long call, int file) {
    if (no_sync[0] && access(no_sync, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return syscall(call, file);
}

int fdatasync(int file) {
    return sync_with(SYS_fdatasync, file);
}

int fsync(int file) {
    return sync_with(SYS_fsync, file);
}
