// SPDX-License-Identifier: GPL-2.0
/*
 * edgeprof_pmu: lets user space read the cycle counter PMCCNTR_EL0.
 *
 * For arm64 kernels before 5.17, which have no kernel.perf_user_access. The counter runs in user
 * and kernel mode; user space may read it and nothing else (PMUSERENR_EL0.CR, not .EN). What was
 * set before is set again on unloading. Registers: Arm ARM, chapter D19.5 "Performance Monitors".
 */
#include <linux/cpu_pm.h>
#include <linux/cpuhotplug.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/version.h>

#include <asm/sysreg.h>

#define PMCR_E BIT(0)		/* counters run */
#define PMCR_D BIT(3)		/* count every 64th cycle only */
#define PMCR_LC BIT(6)		/* the cycle counter overflows at 64 bits, not at 32 */
#define PMCNTEN_CYCLES BIT(31)	/* the cycle counter of PMCNTENSET_EL0 and PMCNTENCLR_EL0 */
#define PMUSERENR_CR BIT(2)	/* user space may read PMCCNTR_EL0 */

struct saved_registers {
	u64 pmcr;
	u64 pmcntenset;
	u64 pmccfiltr;
	u64 pmuserenr;
};

static DEFINE_PER_CPU(struct saved_registers, saved);
static enum cpuhp_state hotplug_state;

/* ID_AA64DFR0_EL1.PMUVer: 0 = no PMU, 15 = one that is not PMUv3. Touching it would be fatal. */
static bool has_pmu(void)
{
	unsigned int version = (read_sysreg(id_aa64dfr0_el1) >> 8) & 0xf;

	return version != 0 && version != 0xf;
}

static void open_counter(void)
{
	write_sysreg(0, pmccfiltr_el0);	/* EL0 and EL1 */
	write_sysreg(PMCNTEN_CYCLES, pmcntenset_el0);
	write_sysreg((read_sysreg(pmcr_el0) & ~PMCR_D) | PMCR_E | PMCR_LC, pmcr_el0);
	write_sysreg(read_sysreg(pmuserenr_el0) | PMUSERENR_CR, pmuserenr_el0);
	isb();
}

static int cpu_comes(unsigned int cpu)
{
	struct saved_registers *before = per_cpu_ptr(&saved, cpu);

	before->pmcr = read_sysreg(pmcr_el0);
	before->pmcntenset = read_sysreg(pmcntenset_el0);
	before->pmccfiltr = read_sysreg(pmccfiltr_el0);
	before->pmuserenr = read_sysreg(pmuserenr_el0);
	open_counter();
	return 0;
}

static int cpu_goes(unsigned int cpu)
{
	const struct saved_registers *before = per_cpu_ptr(&saved, cpu);

	write_sysreg(before->pmuserenr, pmuserenr_el0);
	if (!(before->pmcntenset & PMCNTEN_CYCLES))
		write_sysreg(PMCNTEN_CYCLES, pmcntenclr_el0);
	write_sysreg(before->pmccfiltr, pmccfiltr_el0);
	write_sysreg(before->pmcr, pmcr_el0);
	isb();
	return 0;
}

/* A core that was powered down while idle has lost its registers. */
static int power_changes(struct notifier_block *block, unsigned long event, void *data)
{
	if (event == CPU_PM_EXIT || event == CPU_PM_ENTER_FAILED)
		open_counter();
	return NOTIFY_OK;
}

static struct notifier_block power_notifier = { .notifier_call = power_changes };

static int __init edgeprof_pmu_init(void)
{
	int state;

	if (!has_pmu()) {
		pr_err("edgeprof_pmu: this processor gives no PMUv3\n");
		return -ENODEV;
	}
	if (LINUX_VERSION_CODE >= KERNEL_VERSION(5, 17, 0))
		pr_notice("edgeprof_pmu: this kernel has kernel.perf_user_access, prefer it\n");

	/* Runs cpu_comes on every CPU that is online, and on those that come later. */
	state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "edgeprof_pmu:online", cpu_comes, cpu_goes);
	if (state < 0)
		return state;
	hotplug_state = state;
	cpu_pm_register_notifier(&power_notifier);
	return 0;
}

static void __exit edgeprof_pmu_exit(void)
{
	cpu_pm_unregister_notifier(&power_notifier);
	cpuhp_remove_state(hotplug_state);	/* runs cpu_goes on every CPU */
}

module_init(edgeprof_pmu_init);
module_exit(edgeprof_pmu_exit);

MODULE_DESCRIPTION("Lets user space read the cycle counter PMCCNTR_EL0");
MODULE_LICENSE("GPL");
