#include "board/reader.h"

#include <sys/stat.h>

namespace edgeprof {

int reader_of(int descriptor) {
    struct stat facts = {};
    if (fstat(descriptor, &facts) != 0) return kNoReader;
    return S_ISFIFO(facts.st_mode) || S_ISSOCK(facts.st_mode) ? descriptor : kNoReader;
}

}  // namespace edgeprof
