"""Vector loops, written as code of LLVM for the CPU that is found and run on torch's threads."""
