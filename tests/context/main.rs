//! What a request is given to read: the index stays right whatever the files do, the budget holds, and the files that real
//! changes needed rank high.

mod budget;
mod commands;
mod definitions;
mod folder;
mod hostile;
mod locate;
mod watched;
