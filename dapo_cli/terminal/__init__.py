"""What people see: lines, tables, numbers and notices that fit the terminal."""
