#include "base/sha256.h"

#include <sys/stat.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

namespace edgeprof {

namespace {

using Word = std::uint32_t;

constexpr std::size_t kBlockBytes = 64;

// The constants are the fractional parts of the square and cube roots of the first primes
// (FIPS 180-4, 4.2.2 and 5.3.3): worked out once instead of typed in.
struct Constants {
    std::array<Word, 8> initial;
    std::array<Word, 64> round;

    Constants() {
        std::size_t n = 0;
        for (unsigned candidate = 2; n < round.size(); ++candidate) {
            bool is_prime = true;
            for (unsigned d = 2; d * d <= candidate; ++d) is_prime = is_prime && candidate % d != 0;
            if (!is_prime) continue;
            if (n < initial.size()) initial[n] = root_bits(candidate, 2);
            round[n++] = root_bits(candidate, 3);
        }
    }

    // First 32 bits of the fraction of the k-th root: floor(root * 2^32) found by bisection in
    // integers, since long double is no wider than double on ARM.
    static Word root_bits(unsigned value, unsigned k) {
        std::uint64_t low = 0, high = std::uint64_t{32} << 32;
        while (high - low > 1) {
            const std::uint64_t middle = low + (high - low) / 2;
            (power_is_at_most(middle, k, value) ? low : high) = middle;
        }
        return static_cast<Word>(low);
    }

    // (x / 2^32)^k <= value, exactly, in limbs of 32 bits.
    static bool power_is_at_most(std::uint64_t x, unsigned k, unsigned value) {
        std::vector<Word> product{1};
        for (unsigned i = 0; i < k; ++i) {
            std::vector<Word> next(product.size() + 2, 0);
            const Word limbs[2] = {static_cast<Word>(x), static_cast<Word>(x >> 32)};
            for (std::size_t a = 0; a < product.size(); ++a) {
                std::uint64_t carry = 0;
                for (std::size_t b = 0; b < 2 || carry != 0; ++b) {
                    const std::uint64_t limb = b < 2 ? limbs[b] : 0;
                    carry += next[a + b] + std::uint64_t{product[a]} * limb;
                    next[a + b] = static_cast<Word>(carry);
                    carry >>= 32;
                }
            }
            product = next;
        }
        // Compare with value * 2^(32 k): limb k holds it, all higher ones must be 0.
        for (std::size_t i = product.size(); i-- > k + 1;) {
            if (product[i] != 0) return false;
        }
        if (product[k] != value) return product[k] < value;
        for (unsigned i = 0; i < k; ++i) {
            if (product[i] != 0) return false;
        }
        return true;
    }
};

Word rotate(Word x, unsigned n) { return (x >> n) | (x << (32 - n)); }

class Sha256 {
  public:
    Sha256() : state_(constants().initial) {}

    void add(const unsigned char* data, std::size_t n) {
        n_bytes_ += n;
        while (n > 0) {
            const std::size_t take = std::min(n, kBlockBytes - filled_);
            std::memcpy(block_.data() + filled_, data, take);
            filled_ += take;
            data += take;
            n -= take;
            if (filled_ == kBlockBytes) {
                compress();
                filled_ = 0;
            }
        }
    }

    std::string hex() {
        const std::uint64_t n_bits = n_bytes_ * 8;
        const unsigned char one = 0x80, zero = 0;
        add(&one, 1);
        while (filled_ != kBlockBytes - 8) add(&zero, 1);
        std::array<unsigned char, 8> length;
        for (unsigned i = 0; i < 8; ++i) {
            length[i] = static_cast<unsigned char>(n_bits >> (56 - 8 * i));
        }
        add(length.data(), length.size());
        static const char kDigits[] = "0123456789abcdef";
        std::string text;
        for (const Word word : state_) {
            for (unsigned shift = 32; shift > 0; shift -= 4) {
                text.push_back(kDigits[(word >> (shift - 4)) & 0xF]);
            }
        }
        return text;
    }

  private:
    static const Constants& constants() {
        static const Constants instance;
        return instance;
    }

    void compress() {
        std::array<Word, 64> w;
        for (std::size_t t = 0; t < 16; ++t) {
            w[t] = (Word{block_[4 * t]} << 24) | (Word{block_[4 * t + 1]} << 16) |
                   (Word{block_[4 * t + 2]} << 8) | Word{block_[4 * t + 3]};
        }
        for (std::size_t t = 16; t < 64; ++t) {
            const Word s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ (w[t - 15] >> 3);
            const Word s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ (w[t - 2] >> 10);
            w[t] = w[t - 16] + s0 + w[t - 7] + s1;
        }
        auto [a, b, c, d, e, f, g, h] = state_;
        for (std::size_t t = 0; t < 64; ++t) {
            const Word sum1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
            const Word choose = (e & f) ^ (~e & g);
            const Word t1 = h + sum1 + choose + constants().round[t] + w[t];
            const Word sum0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
            const Word majority = (a & b) ^ (a & c) ^ (b & c);
            const Word t2 = sum0 + majority;
            h = g;
            g = f;
            f = e;
            e = d + t1;
            d = c;
            c = b;
            b = a;
            a = t1 + t2;
        }
        const std::array<Word, 8> sums{a, b, c, d, e, f, g, h};
        for (std::size_t i = 0; i < sums.size(); ++i) state_[i] += sums[i];
    }

    std::array<Word, 8> state_;
    std::array<unsigned char, kBlockBytes> block_{};
    std::size_t filled_ = 0;
    std::uint64_t n_bytes_ = 0;
};

}  // namespace

std::string sha256_of_bytes(const std::string& bytes) {
    Sha256 hash;
    hash.add(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    return hash.hex();
}

std::string sha256_of_file(const std::string& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                               std::fclose);
    if (!file) return "";
    Sha256 hash;
    std::vector<unsigned char> buffer(1 << 16);
    std::size_t n;
    while ((n = std::fread(buffer.data(), 1, buffer.size(), file.get())) > 0) {
        hash.add(buffer.data(), n);
    }
    return std::ferror(file.get()) != 0 ? "" : hash.hex();
}

std::string remembered_sha256(const std::string& path) {
    // By inode, not by name: jobs may name a file through a link.
    using Key = std::tuple<dev_t, ino_t, std::int64_t, std::int64_t>;
    static std::mutex mutex;  // the extension module may run jobs on several threads
    static std::map<Key, std::string> known;
    const std::lock_guard<std::mutex> lock(mutex);
    struct stat facts = {};
    if (stat(path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) return "";
    const Key key(facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime);
    const auto found = known.find(key);
    if (found != known.end()) return found->second;
    return known.emplace(key, sha256_of_file(path)).first->second;
}

}  // namespace edgeprof
