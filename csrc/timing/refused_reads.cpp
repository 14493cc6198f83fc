#include "timing/refused_reads.h"

#if defined(__linux__) && defined(__aarch64__)

#include <signal.h>
#include <ucontext.h>

#include <cstring>

#include "timing/registers.h"

namespace edgeprof {

namespace {

struct sigaction before_us;

void on_illegal_instruction(int, siginfo_t* info, void* context) {
    auto& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
    const bool is_sent = info->si_code <= 0;  // by kill() or raise(): no instruction of ours
    std::uint32_t instruction = 0;
    if (!is_sent) {
        std::memcpy(&instruction, reinterpret_cast<const void*>(machine.pc), sizeof instruction);
    }
    if (is_counter_read(instruction)) {
        const std::uint32_t target = instruction & 0x1f;
        if (target < 31) machine.regs[target] = registers::kRefused;
        machine.pc += sizeof instruction;
        return;
    }
    // The instruction runs again and meets who was there before us; a signal is sent again.
    sigaction(SIGILL, &before_us, nullptr);
    if (is_sent) raise(SIGILL);
}

bool install() noexcept {
    struct sigaction ours = {};
    ours.sa_sigaction = on_illegal_instruction;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    return sigaction(SIGILL, &ours, &before_us) == 0;
}

}  // namespace

void survive_refused_reads() noexcept {
    static const bool is_installed = install();
    static_cast<void>(is_installed);
}

}  // namespace edgeprof

#else

namespace edgeprof {
void survive_refused_reads() noexcept {}
}  // namespace edgeprof

#endif
