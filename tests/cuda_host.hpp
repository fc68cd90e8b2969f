// CUDA C on the CPU, to see what a kernel computes where there is no GPU. The threads of a block are fibers
// that take turns: one runs until it waits for the others. Slow, and exact.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <ucontext.h>
#include <vector>

struct dim3 { unsigned x = 1, y = 1, z = 1; };
static dim3 threadIdx, blockIdx, blockDim, gridDim;
#define __global__
#define __device__
#define __shared__ static
#define __restrict__ __restrict
#define __forceinline__ inline

struct Fiber { ucontext_t at; std::unique_ptr<char[]> stack; dim3 index; bool done = false; };
static std::vector<Fiber> fibers;
static size_t running;
static ucontext_t outside;
static std::function<void()> body;

static void next_fiber() {
    for (size_t i = 1; i <= fibers.size(); i++) {
        size_t other = (running + i) % fibers.size();
        if (fibers[other].done) continue;
        size_t before = running;
        running = other;
        threadIdx = fibers[other].index;
        if (other != before) swapcontext(&fibers[before].at, &fibers[other].at);
        return;
    }
    setcontext(&outside);
}

static void whole_fiber() {
    body();
    fibers[running].done = true;
    next_fiber();
}

// Where all of a group wait for each other.
struct Meeting {
    unsigned arrived = 0, generation = 0;
    void wait(unsigned all) {
        unsigned mine = generation;
        if (++arrived == all) { arrived = 0; generation++; }
        while (mine == generation) next_fiber();
    }
};
static Meeting block_meeting, warp_meeting[32];
static unsigned long long exchanged[1024];

inline void __syncthreads() { block_meeting.wait(fibers.size()); }

template <class T> T __shfl_xor_sync(unsigned, T value, int mask) {
    size_t me = running, warp = me / 32;
    *(T *)&exchanged[me] = value;
    warp_meeting[warp].wait(32);
    T found = *(T *)&exchanged[(me & ~size_t(31)) | ((me & 31) ^ mask)];
    warp_meeting[warp].wait(32);
    return found;
}

inline float __int_as_float(int bits) { float x; std::memcpy(&x, &bits, sizeof x); return x; }
template <class T> T atomicAdd(T *where, T value) { T before = *where; *where += value; return before; }

template <class F> void launch(const unsigned *grid, const unsigned *block, F &&kernel) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    body = kernel;
    size_t many = size_t(block[0]) * block[1] * block[2];
    fibers = std::vector<Fiber>(many);
    for (auto &fiber : fibers) fiber.stack.reset(new char[1 << 15]);
    for (unsigned z = 0; z < grid[2]; z++) for (unsigned y = 0; y < grid[1]; y++) for (unsigned x = 0; x < grid[0]; x++) {
        blockIdx = {x, y, z};
        for (size_t i = 0; i < many; i++) {
            Fiber &fiber = fibers[i];
            fiber.index = {unsigned(i % block[0]), unsigned(i / block[0] % block[1]), unsigned(i / block[0] / block[1])};
            fiber.done = false;
            getcontext(&fiber.at);
            fiber.at.uc_stack.ss_sp = fiber.stack.get();
            fiber.at.uc_stack.ss_size = 1 << 15;
            fiber.at.uc_link = nullptr;
            makecontext(&fiber.at, whole_fiber, 0);
        }
        running = 0;
        threadIdx = fibers[0].index;
        swapcontext(&outside, &fibers[0].at);
    }
}
