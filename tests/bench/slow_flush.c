/* A slow disk: 2 ms more for every flush. Preloaded into floor and subject alike. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

#define MORE 2000

static int slowly(const char *name, int file)
{
    int (*flush)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);

    usleep(MORE);
    return flush(file);
}

int fsync(int file) { return slowly("fsync", file); }
int fdatasync(int file) { return slowly("fdatasync", file); }
